"""Stand-in for ``strokeseg batch`` and ``strokeseg export``: honors their contracts without a network.

A case is done as the ``bright`` model of command.py would; one whose first image is gone is a failed row. A batch of
the model ``slow`` never ends after its first case. ``export`` copies the bundled model under the new id; a run folder
that is called ``refused`` is refused.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def batch(words: list[str]) -> int:
    import command
    import SimpleITK as sitk

    from StrokeSegLib.case_table import read_case_table

    out = Path(option(words, "--out"))
    if (out / "summary.csv").exists() and "--resume" not in words:
        say(f"strokeseg: {out} already holds a batch; go on with it with --resume")
        return 2
    rows = {case.case_id: [case.case_id, "waiting", "", "", ""] for case in read_case_table(option(words, "--cases"))}
    failed = 0
    for number, case in enumerate(read_case_table(option(words, "--cases"))):
        say(f"progress cases {number} {len(rows)} {'-' if number == 0 else '3.0'}")
        folder = out / case.case_id
        if "--resume" in words and folder.exists():
            rows[case.case_id] = [case.case_id, "done", "0.32", "0.10", ""]
        else:
            try:
                images = {role: sitk.ReadImage(str(path)) for role, path in case.images.items()}
            except RuntimeError:
                failed += 1
                rows[case.case_id] = [case.case_id, "failed", "", "", "the image can not be read, check the path"]
            else:
                out.mkdir(parents=True, exist_ok=True)
                command.write("bright", images, folder)
                total = json.loads((folder / "measurements.json").read_text())["total_volume_ml"]
                rows[case.case_id] = [case.case_id, "done", f"{total:.3f}", "1.50", ""]
        writeSummary(out, list(rows.values()))
        if option(words, "--model") == "slow":
            time.sleep(600)
    say(f"progress cases {len(rows)} {len(rows)} 0.0")
    say(f"strokeseg: {len(rows) - failed} of {len(rows)} cases done")
    return 3 if failed else 0


def writeSummary(out: Path, rows: list[list[str]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    beside = out / ".summary"
    with beside.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["case_id", "status", "ischemic_lesion_ml", "seconds", "error"], *rows])
    beside.replace(out / "summary.csv")


def export(words: list[str]) -> int:
    run, out = Path(option(words, "--model")), Path(option(words, "--out"))
    if run.name == "refused":
        say(f"strokeseg: {run} holds no trained network yet; go on with strokeseg train --resume")
        return 2
    say("progress export 0 1 -")
    shutil.copytree(ROOT / "Resources" / "Models" / "mri", out)
    card = json.loads((out / "model.json").read_text(encoding="utf-8"))
    card |= {"id": option(words, "--id"), "title": f"Made of {run.name}"}
    (out / "model.json").write_text(json.dumps(card), encoding="utf-8")
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit({"batch": batch, "export": export}[sys.argv[1]](sys.argv[1:]))
