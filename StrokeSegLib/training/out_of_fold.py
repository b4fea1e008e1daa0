"""An out-of-fold ensemble: each member is trained without one part of the patients, and all are averaged (S4).

The paper's row "OOF ensemble, new data" is six such networks, trained after cases had been added on which its model
had failed, and measured on other patients than the rest of its table. Neither those cases nor those patients are
public. So ours learns from the cases of the table at hand and is judged by the same held-out patients as every other
row: it shows what such an ensemble does, not what new data do. The patients that a member does not learn from are
those that its weights are chosen on, where the preset validates; so no member learns or chooses on the patients that
the row is judged by, and together they learn from all others.

    FOLDER/folds.json     the patients that each member does without
    FOLDER/member-1       the run of the first one, and so on
    FOLDER/run            the members as the networks of one run
    FOLDER/model          what ``segment`` takes
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.models import CARD
from StrokeSegLib.systems.dpn92_constants import PAPER
from StrokeSegLib.training.crossval import healthy_ids, named_progress
from StrokeSegLib.training.presets.three_projection import PaperThreeProjection
from StrokeSegLib.training.run_folder import RUN, read_run, write_json
from StrokeSegLib.training.splits import fold_sides, make_folds, write_folds

#: The network of a member's run.
NETWORK = "axial-1"
#: An exported model keeps the best six of more axial networks: more members would not all be averaged.
MOST_MEMBERS = PAPER.axial_members


def out_of_fold_model(
    preset: PaperThreeProjection,
    cases: Sequence[Case],
    folder: Path,
    *,
    device: str,
    progress: Progress,
    cache_dir: Path,
) -> Path:
    """The model folder of an ensemble of axial networks: trained and exported, unless that was done before.

    Args:
        preset: ``axial_members`` says how many members there are: at least two, at most six and one a patient.
        cases: To learn from; their ``split`` is not looked at.

    Raises:
        InputError: There are fewer than two patients, or what ``train`` refuses.
    """
    from StrokeSegLib.training.data import describe  # all three bring torch
    from StrokeSegLib.training.export import export_run
    from StrokeSegLib.training.loop import train

    model, run = folder / "model", folder / "run"
    if (model / CARD).is_file():
        return model
    count = member_count(preset, cases)
    dealt = make_folds(cases, count, preset.seed, healthy=healthy_ids(cases))
    folder.mkdir(parents=True, exist_ok=True)
    write_folds(dealt, cases, folder / "folds.json", seed=preset.seed)
    runs = []
    for fold in range(count):
        without_one, left_out = fold_sides(cases, dealt, fold)
        data = [replace(case, split="train") for case in without_one]
        data += [replace(case, split="val") for case in left_out]
        # The seeds of the ordinary ensemble's members.
        one = replace(preset, axial_members=1, coronal_members=0, sagittal_members=0, seed=preset.seed + fold)
        told = named_progress(progress, f"member-{fold + 1}")
        into = folder / f"member-{fold + 1}"
        runs.append(train(one, data, into, resume=True, device=device, progress=told, cache_dir=cache_dir))
    plain = [replace(case, split=None) for case in cases]
    said = (
        f"an out-of-fold ensemble: each of {count} members did without its own part of the patients, on whom its "
        "weights were chosen where it was validated"
    )
    _join(runs, run, describe(plain), said)
    export_run(run, model, model_id=f"{preset.system}-{folder.name}", progress=progress)
    return model


def member_count(preset: PaperThreeProjection, cases: Sequence[Case]) -> int:
    """Members of the ensemble.

    Raises:
        InputError: There are fewer than two patients.
    """
    patients = len({case.patient_id for case in cases})
    if patients < 2:
        raise InputError(f"an out-of-fold ensemble needs at least 2 patients to learn from, got {patients}: add cases")
    return min(max(2, preset.axial_members), MOST_MEMBERS, patients)


def _join(runs: Sequence[Path], out: Path, data: dict[str, object], said: str) -> None:
    """One run whose networks ``axial-1``, ``axial-2``, ... are those of the members; it appears whole."""
    beside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    beside.mkdir(parents=True)
    records = [read_run(run) for run in runs]
    names = [f"axial-{number}" for number in range(1, len(runs) + 1)]
    for run, name in zip(runs, names, strict=True):
        shutil.copytree(run / NETWORK, beside / name)
    networks = {name: record["networks"][NETWORK] for name, record in zip(names, records, strict=True)}
    notes = list(dict.fromkeys(note for record in records for note in record["notes"]))
    write_json(beside / RUN, {**records[0], "data": data, "networks": networks, "notes": [*notes, said]})
    os.replace(beside, out)
