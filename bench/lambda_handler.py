"""What `cargo xtask bench cold-start` measures beside this project's program: the same bundle in AWS Lambda with Python
and ONNX Runtime, as one would write it. The session is opened while the module is imported, that is once a process."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BUNDLE = Path(os.environ.get("WELLFORMED_BUNDLE", "/opt/bundle"))

manifest = json.loads((BUNDLE / "bundle.json").read_text())
threshold = manifest["calibration"]["threshold"]
tokenizer = Tokenizer.from_file(str(BUNDLE / "tokenizer.json"))
tokenizer.enable_truncation(manifest["max_length"])
# The file pads to the full length, which would cost time, and words if the mask did not follow.
tokenizer.no_padding()
options = onnxruntime.SessionOptions()
# One sentence at a time on half a processor: more threads only wait for each other.
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
model = {"int8": "model.int8.onnx", "fp32": "model.onnx"}[manifest["default_precision"]]
session = onnxruntime.InferenceSession(str(BUNDLE / model), options, providers=["CPUExecutionProvider"])


def predict(sentence):
    encoded = tokenizer.encode(sentence)
    ids = np.array([encoded.ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    ((unacceptable, acceptable),) = session.run(["probabilities"], inputs)[0].tolist()
    return {
        "label": manifest["labels"][int(acceptable > threshold)],
        "probabilities": {"unacceptable": unacceptable, "acceptable": acceptable},
        "tokens": len(encoded.ids),
    }


# As this project's program does before it asks for an event: a model that cannot predict is never put to work.
predict("This is a sentence.")


def handler(event, context):
    sentences = event["sentences"] if "sentences" in event else [event["sentence"]]
    return {"bundle": manifest["digest"], "predictions": [predict(sentence) for sentence in sentences]}
