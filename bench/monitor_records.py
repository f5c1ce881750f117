#!/usr/bin/env python3
"""Records of predictions for `cargo xtask bench monitor`, as `serve` and `lambda` write them.

    monitor_records.py --bundle models/bundle --records 1000000 --output records.jsonl

Each prediction is a row of the bundle's profile drawn with replacement, so nothing has drifted, with times around those
of a small server. One record in two hundred is a request that was refused.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

CHUNK = 100_000
REFUSED = 0.005


def chunk(random: np.random.Generator, profile: dict, manifest: dict, first: int, count: int) -> pd.DataFrame:
    """`count` records, of which the first has the number `first`."""
    columns = profile["columns"]
    rows = random.integers(len(columns["tokens"]), size=count)

    def drawn(name: str) -> np.ndarray:
        return np.asarray(columns[name])[rows]

    def digits(name: str, low: float = 0.0, high: float = np.inf) -> np.ndarray:
        # Records have all digits, the profile has four; rounded to four these are the profile's again.
        return np.clip(drawn(name) + random.uniform(-4e-5, 4e-5, count), low, high)

    p = digits("p_acceptable", high=1.0)
    tokens = drawn("tokens").astype(int)
    # A record a second and a bit, from the start of 2026.
    moments = np.datetime64("2026-01-01T00:00:00.000") + (np.arange(first, first + count) * 1013).astype("m8[ms]")
    tokenization = random.lognormal(-2.5, 0.3, count).round(3)
    inference = random.lognormal(-0.5, 0.4, count).round(3)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.nan_to_num(-p * np.log2(p) - (1 - p) * np.log2(1 - p))
    frame = pd.DataFrame(
        {
            "type": "prediction",
            "timestamp": np.char.add(np.datetime_as_string(moments, unit="ms"), "Z"),
            "level": "INFO",
            "service": "serve",
            "version": "0.1.0",
            "request_id": [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(first, first + count)],
            "index": 0,
            "bundle": manifest["digest"],
            "precision": profile["source"]["precision"],
            "channel": "http",
            "label": np.where(p > manifest["calibration"]["threshold"], "acceptable", "unacceptable"),
            "p_acceptable": p,
            "entropy": entropy,
            "tokens": tokens,
            "truncated": drawn("truncated") > 0,
            "unknown_tokens": np.rint(drawn("unknown_share") * tokens).astype(int),
            "characters": drawn("characters").astype(int),
            "non_ascii_share": drawn("non_ascii_share"),
            "pieces_per_word": digits("pieces_per_word", low=1.0),
            "frequent_share": digits("frequent_share", high=1.0),
            "surprise": digits("surprise"),
            "explained": False,
            "tokenization_ms": tokenization,
            "inference_ms": inference,
            "total_ms": (tokenization + inference + random.lognormal(-1.5, 0.5, count)).round(3),
            "cold_start": np.arange(first, first + count) == 0,
        }
    )
    return frame


def lines(frame: pd.DataFrame, refused: np.ndarray) -> str:
    """The chunk as JSON lines, in the order of time."""
    predictions = frame[~refused].to_json(orient="records", lines=True, double_precision=15).splitlines()
    problems = frame.loc[refused, ["timestamp", "service", "version", "request_id", "bundle", "channel"]].copy()
    problems.insert(0, "type", "problem")
    problems.insert(2, "level", "WARN")
    problems["status"] = 422
    problems["code"] = "invalid_request"
    problems = problems.to_json(orient="records", lines=True).splitlines()
    both = iter(predictions), iter(problems)
    return "".join(next(both[int(one)]) + "\n" for one in refused)


def main() -> None:
    """Writes chunk by chunk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    profile = json.loads((arguments.bundle / "profile.json").read_text())
    manifest = json.loads((arguments.bundle / "bundle.json").read_text())
    random = np.random.default_rng(arguments.seed)
    with arguments.output.open("w", encoding="utf8") as output:
        for first in range(0, arguments.records, CHUNK):
            count = min(CHUNK, arguments.records - first)
            frame = chunk(random, profile, manifest, first, count)
            output.write(lines(frame, random.random(count) < REFUSED))


if __name__ == "__main__":
    main()
