#!/usr/bin/env python3
"""The yardstick of `cargo xtask bench train`: the same job in PyTorch and transformers.

Fine-tunes a BERT on prepared data the ordinary way: pooler and linear classifier, AdamW without decay of biases and
layer norms, linear schedule with 6 % warm-up, gradients clipped to norm 1, batches of similar length padded to their
longest sentence. With --pad 128 every batch is padded to 128 tokens instead, as transformers' examples do with
padding="max_length". With --bf16 the forward pass runs under autocast, PyTorch's mixed precision. Prints one JSON
object per epoch; sentences per second are counted over the training part alone, without tokenising and without
evaluation.

    .venv-bench/bin/python bench/torch_train.py --data data/prepared --base models/base --layers 4 --epochs 1
"""

import argparse
import dataclasses
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import torch
import transformers
from sklearn.metrics import matthews_corrcoef
from torch.nn.utils import clip_grad_norm_
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

MAX_TOKENS = 128
WARMUP = 0.06
# Batches are cut from sorted windows of this many batches: similar lengths together, yet a different mix each epoch.
WINDOW = 50


@dataclasses.dataclass
class Sentences:
    """One part of the data, tokenised: token ids of every sentence, and its label (1 is acceptable)."""

    ids: list[list[int]]
    labels: list[int]

    def batch(self, rows: list[int], width: int | None, device: str) -> dict[str, torch.Tensor]:
        """The model's inputs for some rows, each `[len(rows), width]`, padded to the longest row by default."""
        width = width or max(len(self.ids[row]) for row in rows)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(self.ids[row])] = self.ids[row]
        lengths = np.array([len(self.ids[row]) for row in rows])
        mask = (np.arange(width)[None, :] < lengths[:, None]).astype(np.int64)
        labels = np.array([self.labels[row] for row in rows])
        arrays = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def read_part(path: Path, tokenizer) -> Sentences:
    """Reads a part of the prepared data, and tokenises it; it must get the ids that `prepare` wrote beside it."""
    table = parquet.read_table(path, columns=["sentence", "label", "input_ids"]).to_pydict()
    ids = tokenizer(table["sentence"], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    if ids != table["input_ids"]:
        different = sum(one != other for one, other in zip(ids, table["input_ids"], strict=True))
        raise SystemExit(f"error: {path}: {different} of {len(ids)} sentences have other tokens than `input_ids`")
    return Sentences(ids, table["label"])


def batches_by_length(sentences: Sentences, size: int, generator: random.Random) -> Iterator[list[int]]:
    """Rows in batches of similar length, in random order."""
    rows = list(range(len(sentences.ids)))
    generator.shuffle(rows)
    windows = [rows[start : start + size * WINDOW] for start in range(0, len(rows), size * WINDOW)]
    for window in windows:
        window.sort(key=lambda row: len(sentences.ids[row]))
    batches = [window[start : start + size] for window in windows for start in range(0, len(window), size)]
    generator.shuffle(batches)
    yield from batches


def parameter_groups(model, decay: float) -> list[dict]:
    """Matrices and tables decay; biases and layer norms do not."""
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[not (name.endswith("bias") or "LayerNorm" in name)].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


@torch.inference_mode()
def predict(model, sentences: Sentences, device: str) -> list[int]:
    """The more probable class of every sentence."""
    model.eval()
    classes: list[int] = []
    for start in range(0, len(sentences.ids), 64):
        rows = list(range(start, min(start + 64, len(sentences.ids))))
        inputs = sentences.batch(rows, None, device)
        inputs.pop("labels")
        classes.extend(model(**inputs).logits.argmax(dim=1).tolist())
    return classes


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.parquet and tune.parquet")
    parser.add_argument("--base", required=True, help="folder of the base model, as transformers reads it")
    parser.add_argument("--layers", type=int, help="keep the first N encoder layers (default: all)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=5e-5, help="peak learning rate")
    parser.add_argument("--batch", type=int, default=32, help="sentences per step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pad", type=int, help="pad every batch to N tokens (default: to its longest sentence)")
    parser.add_argument("--max-steps", type=int, help="stop every epoch after N steps")
    parser.add_argument("--random-init", action="store_true", help="random weights in the base model's architecture")
    parser.add_argument("--device", default="cpu", help="PyTorch's name of the device")
    parser.add_argument("--bf16", action="store_true", help="forward pass under autocast to bfloat16")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    return parser.parse_args()


def main() -> None:
    """Trains, and reports after every epoch."""
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    generator = random.Random(args.seed)

    config = AutoConfig.from_pretrained(args.base, num_labels=2)
    if args.layers:
        config.num_hidden_layers = args.layers
    if args.random_init:
        model = AutoModelForSequenceClassification.from_config(config)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(args.base, config=config)
    model.to(args.device)

    tokenizer = AutoTokenizer.from_pretrained(args.base)
    train = read_part(args.data / "train.parquet", tokenizer)
    tune = read_part(args.data / "tune.parquet", tokenizer)

    steps = args.epochs * min(-(-len(train.ids) // args.batch), args.max_steps or len(train.ids))
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.01), lr=args.lr)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)

    for epoch in range(args.epochs):
        model.train()
        losses, count = [], 0
        started = time.perf_counter()
        for step, rows in enumerate(batches_by_length(train, args.batch, generator)):
            if step == args.max_steps:
                break
            with torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=args.bf16):
                loss = model(**train.batch(rows, args.pad, args.device)).loss
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            count += len(rows)
        seconds = time.perf_counter() - started

        mcc = matthews_corrcoef(tune.labels, predict(model, tune, args.device))
        report = {
            "epoch": epoch,
            "train_loss": round(sum(losses) / len(losses), 4),
            "seconds": round(seconds, 3),
            "sentences_per_second": round(count / seconds, 2),
            "mcc": round(float(mcc), 4),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
