#!/usr/bin/env python3
"""Holds a bundle against ONNX's own checker and against ONNX Runtime: `cargo xtask verify`.

    check_bundle.py --bundle models/bundle --predict target/release/predict --data data/prepared/validation.parquet

Both model files must pass the full check. Then every sentence is predicted by ONNX Runtime (tokens by Hugging Face's
tokenizers) and by this project's `predict`, and the calibrated probabilities are compared. Prints one line for each
precision; ends with an error when a bound is broken.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer

# Largest difference of a probability, and the mean. fp32: rounding. int8: where two engines' 32-bit rounding puts an
# activation on either side of a step, logits move by a step of the quantisation; so the mean is bounded tightly and the
# largest loosely.
BOUNDS = {"fp32": (1e-5, 1e-6), "int8": (5e-2, 1e-3)}


def onnx_runtime(model: Path, tokenizer: Tokenizer, sentences: list[str]) -> np.ndarray:
    """Probabilities of *acceptable*, one sentence at a time, as the other side's are independent of batches."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    found = []
    for sentence in sentences:
        ids = np.array([tokenizer.encode(sentence).ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        found.append(session.run(["probabilities"], feed)[0][0, 1])
    return np.array(found)


def this_project(arguments: argparse.Namespace, precision: str) -> tuple[list[str], np.ndarray]:
    """The sentences, and the same by `predict`."""
    command = [arguments.predict, "--bundle", arguments.bundle, "--precision", precision, "--json", "--quiet"]
    command += ["--file", arguments.data]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return [row["sentence"] for row in rows], np.array([row["p_acceptable"] for row in rows])


def main() -> None:
    """Checks both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--bundle", "--predict", "--data"]:
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    bundle = Path(arguments.bundle)
    manifest = json.loads((bundle / "bundle.json").read_text())
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=manifest["max_length"])
    tokenizer.no_padding()
    threshold = manifest["calibration"]["threshold"]
    broken = False
    for precision, file in [("fp32", "model.onnx"), ("int8", "model.int8.onnx")]:
        onnx.checker.check_model(str(bundle / file), full_check=True)
        sentences, ours = this_project(arguments, precision)
        theirs = onnx_runtime(bundle / file, tokenizer, sentences)
        difference = np.abs(ours - theirs)
        changed = int(((ours > threshold) != (theirs > threshold)).sum())
        print(
            f"{file}: passes onnx.checker {onnx.__version__}; {len(sentences)} sentences against ONNX Runtime "
            f"{onnxruntime.__version__}: probabilities differ by at most {difference.max():.1e}, on average by "
            f"{difference.mean():.1e}; {changed} decisions differ"
        )
        largest, mean = BOUNDS[precision]
        broken |= difference.max() > largest or difference.mean() > mean
    if broken:
        sys.exit(f"error: a bound is broken (largest, mean): {BOUNDS}")


if __name__ == "__main__":
    main()
