#!/usr/bin/env python3
"""A part of the prepared data for `cargo xtask bench train`, the same for both sides.

    training_sample.py --prepared data/prepared --sentences 1280 --output FOLDER

FOLDER gets train.parquet with so many sentences of train, drawn without replacement (all of them where there are not
that many), and tune.parquet with the first 64 of tune: an epoch ends with a look at them, which is not timed. Prints
one JSON object: how many sentences and tokens train has, and its longest sentence in tokens.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.compute as compute
import pyarrow.parquet as parquet

TUNE = 64


def main() -> None:
    """Draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--sentences", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    train = parquet.read_table(arguments.prepared / "train.parquet")
    rows = np.random.default_rng(arguments.seed).permutation(len(train))[: arguments.sentences]
    train = train.take(np.sort(rows))
    arguments.output.mkdir(parents=True, exist_ok=True)
    parquet.write_table(train, arguments.output / "train.parquet")
    tune = parquet.read_table(arguments.prepared / "tune.parquet")
    parquet.write_table(tune.slice(0, TUNE), arguments.output / "tune.parquet")
    lengths = compute.list_value_length(train["input_ids"]).to_numpy()
    report = {"sentences": len(train), "tokens": int(lengths.sum()), "longest": int(lengths.max())}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
