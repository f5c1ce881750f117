#!/usr/bin/env python3
"""The yardstick of `cargo xtask bench monitor`: records against a bundle's profile, with pandas and scipy.

    pandas_check.py --bundle models/bundle --reader pandas records.jsonl

What one would write in place of `monitor check`: reads the records, compares each of ten signals with the reference
(two-sample Kolmogorov-Smirnov, chi-squared for flags), counts defects and refused requests, and takes the 95th
percentile of the latency. It does less than `monitor check`: thresholds are scipy's, not resampled at the window's
length, there is no estimate of the MCC with its interval, no histograms, and nothing is looked at but these columns.

The reader `pandas` is `read_json` in chunks, of which the columns needed are kept; `pyarrow` is pandas' PyArrow engine,
which reads the whole file on all processors. Prints one JSON object.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import scipy
from scipy import stats

FLAGS = ["truncated", "label"]
NEEDED = [
    "type",
    "level",
    "index",
    "label",
    "p_acceptable",
    "tokens",
    "truncated",
    "unknown_tokens",
    "characters",
    "non_ascii_share",
    "pieces_per_word",
    "frequent_share",
    "surprise",
    "total_ms",
    "cold_start",
]


def read(path: Path, reader: str) -> pd.DataFrame:
    """The columns that are needed, of all records."""
    if reader == "pyarrow":
        return pd.read_json(path, lines=True, engine="pyarrow")[NEEDED]
    # Types as JSON has them: guessing at dates would only cost time.
    chunks = pd.read_json(path, lines=True, chunksize=100_000, dtype=False)
    return pd.concat((chunk[NEEDED] for chunk in chunks), ignore_index=True)


def rounded(values: pd.Series | np.ndarray) -> np.ndarray:
    """To four decimals, as the profile is."""
    return np.floor(np.asarray(values, dtype=float) * 1e4 + 0.5) / 1e4


def signal(predictions: pd.DataFrame, name: str) -> np.ndarray:
    """A signal of every prediction."""
    if name == "unknown_share":
        return rounded(predictions["unknown_tokens"] / predictions["tokens"].clip(lower=1))
    if name == "label":
        return (predictions["label"] == "acceptable").to_numpy(dtype=float)
    return rounded(predictions[name])


def compare(reference: np.ndarray, window: np.ndarray, flag: bool) -> dict:
    """A test's statistic and p-value."""
    if not flag:
        result = stats.ks_2samp(reference, window)
        return {"statistic": float(result.statistic), "p": float(result.pvalue)}
    table = np.array([[(values == value).sum() for value in (0.0, 1.0)] for values in (reference, window)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return {"statistic": 0.0, "p": 1.0}
    result = stats.chi2_contingency(table, correction=False)
    return {"statistic": float(result.statistic), "p": float(result.pvalue)}


def main() -> None:
    """Judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--reader", choices=["pandas", "pyarrow"], default="pandas")
    parser.add_argument("records", type=Path)
    arguments = parser.parse_args()
    columns = json.loads((arguments.bundle / "profile.json").read_text())["columns"]
    records = read(arguments.records, arguments.reader)
    predictions = records[records["type"] == "prediction"]
    problems = records[records["type"] == "problem"]
    first = predictions[predictions["index"] == 0]
    latency = first["total_ms"].quantile([0.93, 0.95, 0.97]).tolist()
    signals = {
        name: compare(rounded(reference), signal(predictions, name), name in FLAGS)
        for name, reference in columns.items()
    }
    report = {
        "records": len(predictions) + len(problems),
        "predictions": len(predictions),
        "defect_share": float((problems["level"] == "ERROR").sum() / max(len(records), 1)),
        "refused_share": float((problems["level"] == "WARN").sum() / max(len(records), 1)),
        "cold_start_share": float(first["cold_start"].astype(float).mean()),
        "latency_p95_ms": latency[1],
        "latency_p93_to_p97_ms": [latency[0], latency[2]],
        "signals": signals,
        "moved": [name for name, result in signals.items() if result["p"] < 0.01 / len(signals)],
        "versions": {"pandas": pd.__version__, "scipy": scipy.__version__, "pyarrow": pyarrow.__version__},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
