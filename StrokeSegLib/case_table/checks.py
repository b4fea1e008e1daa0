"""Opens every case of a table before any work starts, and reports all that is wrong in one go.

What is an error, and what is handled:

* Images of one case on different grids are handled: they are resampled by physical position. It is an error when they
  do not overlap in space.
* The mask has to lie on exactly the grid of one of the case's images, the one that it was drawn on. Any other mask is
  an error: it was made for another image, or lost its geometry on the way.
* An empty mask means a healthy case. It is allowed, and listed in the notes. That all masks are empty is an error.
* A patient with cases in two splits is an error, and so are a missing file, a missing sequence, a mask with values
  that are no label of the system, and a mask with fractions.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from StrokeSegLib.case_table.table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.io.reading import quiet_itk
from StrokeSegLib.preprocess.geometry import overlap_fraction
from StrokeSegLib.systems.base import System
from StrokeSegLib.volume import Volume

#: Two images of one head share at least this part of their boxes.
MIN_OVERLAP = 0.05
#: Formats whose header can be read without the voxels.
_HEADER_FIRST = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
#: Unzipping is most of the work and leaves Python's lock; more threads than this only fight for the disk.
_THREADS = min(8, (os.cpu_count() or 1) + 1)
#: What truth may hold everywhere: ischemic lesion or core, hemorrhage, penumbra.
HOUSE_LABELS = (1, 2, 3)


@dataclass
class _Findings:
    """Of one case: what keeps it from being used, what is worth a note, and whether its mask holds a lesion."""

    problems: list[str] = field(default_factory=list)
    resampled: list[str] = field(default_factory=list)
    has_lesion: bool | None = None


@dataclass(frozen=True)
class _Needs:
    """What each case has to bring."""

    system: System
    required: tuple[str, ...]
    optional: tuple[str, ...]
    lesion: bool

    @property
    def roles(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


def check_cases(
    cases: Sequence[Case],
    system: System,
    prepare_settings: Mapping[str, Any] | None = None,
    *,
    table: Sequence[Case] | None = None,
    need_lesion: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[str, ...]:
    """Refuses a table with bad cases, all of them in one error. Reads images' headers and whole masks.

    Args:
        cases: From ``read_case_table``.
        system: What needs to be there: its roles and its labels.
        prepare_settings: Of the model to train or to run, where the roles depend on them.
        table: The whole table where ``cases`` are a part of it: no patient of it may be in two splits, whereas images
            of the other cases are not opened.
        need_lesion: Whether each case needs a truth, as for training and evaluation.
        progress: Called with ("check", done, total).

    Returns:
        Notes for the log: which cases are healthy, and which images will be resampled.

    Raises:
        InputError: One line that names every bad case and what is wrong with it.
    """
    if not cases:
        raise InputError("there are no cases to check: the table is empty")
    needs = _Needs(system, *system.inputs_for(prepare_settings or {}), need_lesion)
    findings = {id(case): _Findings(problems=_role_problems(case, needs)) for case in cases}
    pool = ThreadPoolExecutor(_THREADS)
    try:
        with quiet_itk():  # here and not in the threads, as ITK has one switch for all
            opened = pool.map(lambda case: _open_files(case, needs), cases)
            for done, (case, found) in enumerate(zip(cases, opened, strict=True)):
                if progress is not None:
                    progress("check", done, len(cases))
                found.problems[:0] = findings[id(case)].problems
                findings[id(case)] = found
    finally:
        pool.shutdown(cancel_futures=True)
    if progress is not None:
        progress("check", len(cases), len(cases))
    bad = [f"{c.case_id}: {' and '.join(f.problems)}" for c in cases if (f := findings[id(c)]).problems]
    of_table = _table_problems(cases if table is None else table, [findings[id(case)].has_lesion for case in cases])
    if bad or of_table:
        count = [f"{len(bad)} of {len(cases)} cases can not be used for {system.name}"] if bad else []
        raise InputError(f"{'; '.join([*count, *of_table, *bad])}; repair these lines of the table, or take them out")
    return _notes(cases, [findings[id(case)] for case in cases])


def _role_problems(case: Case, needs: _Needs) -> list[str]:
    missing = [role for role in needs.required if role not in case.images]
    given = [role for role in needs.roles if role in case.images]
    minimum = max(needs.system.minimum_inputs, 1)
    problems = []
    if missing:
        problems.append(f"has no {', '.join(missing)}, which {needs.system.name} requires")
    elif len(given) < minimum:
        problems.append(f"has {', '.join(given) or 'none'} of {', '.join(needs.roles)}, at least {minimum} needed")
    if needs.lesion and case.lesion is None:
        problems.append("has no lesion mask (for a healthy case give an empty one)")
    return problems


def _table_problems(cases: Sequence[Case], has_lesion: Sequence[bool | None]) -> list[str]:
    problems = []
    doubled = [name for name, count in Counter(case.case_id for case in cases).items() if count > 1]
    if doubled:
        problems.append(f"case_id {', '.join(doubled)} comes twice")
    splits: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if case.split is not None:
            splits[case.patient_id].add(case.split)
    problems += [
        f"patient {patient} is in {' and '.join(sorted(names))}, every patient belongs to one split"
        for patient, names in splits.items()
        if len(names) > 1
    ]
    if False in has_lesion and True not in has_lesion and None not in has_lesion:
        problems.append("all masks are empty, some with a lesion are needed")
    return problems


def _notes(cases: Sequence[Case], findings: Sequence[_Findings]) -> tuple[str, ...]:
    notes = []
    healthy = [c.case_id for c, f in zip(cases, findings, strict=True) if f.has_lesion is False]
    if healthy:
        notes.append(
            f"{len(healthy)} of {len(cases)} cases have an empty mask and count as healthy: {', '.join(healthy)}"
        )
    by_text: dict[str, list[str]] = defaultdict(list)
    for case, found in zip(cases, findings, strict=True):
        for text in found.resampled:
            by_text[text].append(case.case_id)
    notes += [f"{text} in {len(names)} case(s): {', '.join(names)}" for text, names in by_text.items()]
    return tuple(notes)


def _open_files(case: Case, needs: _Needs) -> _Findings:
    found = _Findings()
    grids: dict[str, Volume] = {}
    roles = [role for role in needs.roles if role in case.images]
    for role in roles:
        try:
            grids[role] = _grid(case.images[role])
        except InputError as error:
            found.problems.append(f"{role}: {error}")
    for role in roles[1:]:
        _compare(grids.get(roles[0]), grids.get(role), roles[0], role, found)
    if case.lesion is not None:
        try:
            mask = read_image(case.lesion).volume
        except InputError as error:
            found.problems.append(f"lesion: {error}")
        else:
            _check_mask(mask, case, grids, needs.system, found)
    return found


def _compare(first: Volume | None, other: Volume | None, first_role: str, role: str, found: _Findings) -> None:
    if first is None or other is None or other.same_grid(first):
        return
    if overlap_fraction(other, first) < MIN_OVERLAP:
        found.problems.append(f"{role} does not overlap {first_role} in space: they are not of one study")
    else:
        found.resampled.append(f"{role} lies on another grid than {first_role} and is resampled by physical position")


def _check_mask(mask: Volume, case: Case, grids: dict[str, Volume], system: System, found: _Findings) -> None:
    values = np.unique(mask.array[mask.array != 0])  # only these: sorting the background takes long
    found.has_lesion = bool(np.isin(values, list(system.labels)).any())
    # Truth of another kind (blood, for a system of infarcts) is background to this one: it must not be marked.
    wrong = [float(v) for v in values if v not in HOUSE_LABELS]
    if wrong:
        listed = ", ".join(f"{value:g}" for value in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        labels = ", ".join(f"{value} {name}" for value, name in {**system.labels, **system.rule_labels}.items())
        found.problems.append(f"the mask holds {listed}, needed 0 and {labels}")
    if not grids or _on_one_of(mask, case, grids):  # without a grid, the images' own errors say why
        return
    shapes = ", ".join(f"{role} {_size(grid)}{_gap(mask, grid)}" for role, grid in grids.items())
    found.problems.append(f"the mask ({_size(mask)}) is on the grid of none of the images ({shapes})")


def _on_one_of(mask: Volume, case: Case, grids: dict[str, Volume]) -> bool:
    """Whether the mask lies on an image's grid, also of an image that this system does not read."""
    if any(mask.same_grid(grid) for grid in grids.values()):
        return True
    for role, path in case.images.items():
        # ITK may place a file with two disagreeing geometries otherwise than our reader: what we read counts.
        if role in grids and mask.array.shape != grids[role].array.shape:
            continue
        try:
            if mask.same_grid(read_image(path).volume):
                return True
        except InputError:
            continue  # reported where the system reads it
    return False


def _size(volume: Volume) -> str:
    i, j, k = volume.size_ijk
    return f"{i}x{j}x{k} of {'x'.join(f'{s:.3g}' for s in volume.spacing_mm)} mm"


def _gap(mask: Volume, grid: Volume) -> str:
    """Where size and spacing agree, how far apart the two lie."""
    if _size(mask) != _size(grid):
        return ""
    ends = np.array([[0, 0, 0], mask.size_ijk]) - [[0] * 3, [1] * 3]
    return f", up to {np.linalg.norm(mask.ijk_to_lps(ends) - grid.ijk_to_lps(ends), axis=1).max():.2g} mm away"


def _grid(path: Path) -> Volume:
    """A volume of the image's grid with no data in it, from the header alone where the format allows.

    Raises:
        InputError: The image is missing or can not be read.
    """
    if path.is_file() and path.name.lower().endswith(_HEADER_FIRST):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            return read_image(path).volume  # says in our words what is wrong, or reads what ITK can not
        if reader.GetDimension() == 3 and reader.GetNumberOfComponents() == 1:
            size = reader.GetSize()
            empty = np.broadcast_to(np.uint8(0), (size[2], size[1], size[0]))
            return Volume(empty, reader.GetSpacing(), reader.GetOrigin(), np.array(reader.GetDirection()))
    return read_image(path).volume
