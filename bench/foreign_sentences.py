"""Sentences of another language, for `cargo xtask bench monitor`.

    python foreign_sentences.py FOLDER OUTPUT [--ascii]

FOLDER holds files of sayings as the Debian packages fortunes-de, fortunes-es and fortunes-it bring them: plain text,
entries separated by a line with a per cent sign. OUTPUT gets one sentence a line, 3 to 20 words each. With --ascii,
letters lose what ASCII does not have (ä becomes ae, é becomes e), as people type without the keyboard for it.
"""

import argparse
import hashlib
import re
import unicodedata
from pathlib import Path

GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"})


def entries(folder: Path):
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix in {".dat", ".u8"}:
            continue
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        yield from re.split(r"^%.*$", text, flags=re.MULTILINE)


def sentences(entry: str):
    lines = [line for line in entry.splitlines() if not re.match(r"\s*(--|\(|<|\[|#|>)", line)]
    text = re.sub(r"\s+", " ", " ".join(lines))
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        words = sentence.split()
        if 3 <= len(words) <= 20 and re.fullmatch(r"[A-ZÄÖÜ¿¡][^\d|_=*/\\{}<>@\"„“»«]*[^\W\d_][.!?]", sentence):
            yield sentence


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--ascii", action="store_true")
    arguments = parser.parse_args()
    found = {sentence for entry in entries(arguments.folder) for sentence in sentences(entry)}
    if arguments.ascii:
        found = {
            unicodedata.normalize("NFKD", one.translate(GERMAN)).encode("ascii", "ignore").decode() for one in found
        }
    # An order that has nothing to do with the source, the same each time.
    chosen = sorted(found, key=lambda one: hashlib.sha256(one.encode()).hexdigest())[:3000]
    arguments.output.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    print(f"{arguments.output}: {len(chosen)} of {len(found)} sentences")


if __name__ == "__main__":
    main()
