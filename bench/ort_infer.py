#!/usr/bin/env python3
"""The yardstick of `cargo xtask bench infer`: the same predictions with tokenizers and ONNX Runtime in Python.

    ort_infer.py quantize --model model.onnx --output FILE                ONNX Runtime's own int8, per channel
    ort_infer.py measure --model FILE --tokenizer FILE --sentences FILE   one JSON object with the figures
    ort_infer.py first --model FILE --tokenizer FILE                      one sentence, to time a whole process

What `measure` reports has the names and units of this project's own `measure`: opening (imports, tokenizer, session
and a first prediction, ms), one sentence from text to probabilities (median and 99th percentile, us), sentences a
second in batches of like length, peak memory (MB).
"""

import argparse
import json
import resource
import time
from pathlib import Path

BEGAN = time.perf_counter()
MAX_TOKENS = 128


def quantize(arguments: argparse.Namespace) -> None:
    """Quantises as ONNX Runtime's documentation does for transformers on a CPU."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(arguments.model, arguments.output, per_channel=True, weight_type=QuantType.QInt8)


class Classifier:
    """A model as one would serve it in Python."""

    def __init__(self, model: str, tokenizer: str, threads: int) -> None:
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        self.numpy = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(tokenizer)
        self.tokenizer.enable_truncation(max_length=MAX_TOKENS)
        self.tokenizer.no_padding()

    def predict(self, batch: list[str]):
        """Probabilities `[len(batch), 2]`."""
        np = self.numpy
        encoded = [item.ids for item in self.tokenizer.encode_batch(batch)]
        width = max(map(len, encoded))
        ids = np.zeros((len(batch), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, item in enumerate(encoded):
            ids[row, : len(item)] = item
            mask[row, : len(item)] = 1
        return self.session.run(["probabilities"], {"input_ids": ids, "attention_mask": mask})[0]


def measure(arguments: argparse.Namespace) -> None:
    """Times both ways of asking, and prints the figures."""
    import onnxruntime

    text = [line for line in Path(arguments.sentences).read_text(encoding="utf8").splitlines() if line.strip()]
    classifier = Classifier(arguments.model, arguments.tokenizer, arguments.threads)
    classifier.predict(text[:1])
    start = time.perf_counter() - BEGAN

    for sentence in text[:50]:
        classifier.predict([sentence])
    by_length = sorted(text, key=len)
    single, batched = [], []
    for _ in range(arguments.repeat):
        for sentence in text:
            at = time.perf_counter()
            classifier.predict([sentence])
            single.append((time.perf_counter() - at) * 1e6)
        at = time.perf_counter()
        for first in range(0, len(by_length), arguments.batch):
            classifier.predict(by_length[first : first + arguments.batch])
        batched.append(len(text) / (time.perf_counter() - at))
    percentile = classifier.numpy.percentile
    report = {
        "start_ms": start * 1e3,
        "single_p50_us": float(percentile(single, 50)),
        "single_p99_us": float(percentile(single, 99)),
        "batched_sentences_per_second": float(percentile(batched, 50)),
        "threads": arguments.threads,
        "onnxruntime": onnxruntime.__version__,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(report))


def first(arguments: argparse.Namespace) -> None:
    """Predicts one sentence."""
    print(Classifier(arguments.model, arguments.tokenizer, 1).predict(["The cat sat on the mat."]))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(required=True)
    task = tasks.add_parser("quantize")
    task.add_argument("--model", required=True)
    task.add_argument("--output", required=True)
    task.set_defaults(run=quantize)
    task = tasks.add_parser("measure")
    for name in ["--model", "--tokenizer", "--sentences"]:
        task.add_argument(name, required=True)
    for name, default in [("--threads", 1), ("--batch", 32), ("--repeat", 3)]:
        task.add_argument(name, type=int, default=default)
    task.set_defaults(run=measure)
    task = tasks.add_parser("first")
    for name in ["--model", "--tokenizer"]:
        task.add_argument(name, required=True)
    task.set_defaults(run=first)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
