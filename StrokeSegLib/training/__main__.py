"""``python -m StrokeSegLib.training --out RUN [--anatomy DIR --lesions DIR]``: trains the bundled ``mri`` model."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from StrokeSegLib.training.config import BundledMri
from StrokeSegLib.training.loop import train
from StrokeSegLib.training.pool import load_sources


def main() -> None:
    """Reads the words, trains or resumes."""
    parser = argparse.ArgumentParser(prog="python -m StrokeSegLib.training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="run folder; an existing run goes on")
    parser.add_argument("--anatomy", type=Path, help="folder of head label maps; procedural heads without")
    parser.add_argument("--lesions", type=Path, help="folder of lesion masks; procedural lesions without")
    parser.add_argument("--processes", type=int, default=1, help="background processes that generate heads")
    for field in dataclasses.fields(BundledMri):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    words = vars(parser.parse_args())
    out, processes = words.pop("out"), words.pop("processes")
    sources = load_sources(words.pop("anatomy"), words.pop("lesions"))
    train(BundledMri(**words), sources, out, processes=processes, report=lambda line: print(line, file=sys.stderr))


if __name__ == "__main__":
    main()
