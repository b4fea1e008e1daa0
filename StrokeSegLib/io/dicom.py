"""Reads DICOM through SimpleITK's GDCM: a folder with one series (or one picked by its UID), or a single file.

Each slice is decoded by itself, with its own rescale slope and intercept, and placed by its own position: reading the
series in one go would trust that the gaps are even and the gantry upright.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.dicom_header import Slice, read_header
from StrokeSegLib.io.dicom_volumes import description_of, volumes_of
from StrokeSegLib.io.reading import Reading, quiet_itk
from StrokeSegLib.io.stack import stack_to_volume
from StrokeSegLib.steps import run_to_end

_DTYPES: dict[int, type[Any]] = {
    sitk.sitkUInt8: np.uint8, sitk.sitkInt8: np.int8, sitk.sitkUInt16: np.uint16, sitk.sitkInt16: np.int16,
    sitk.sitkUInt32: np.uint32, sitk.sitkInt32: np.int32, sitk.sitkFloat32: np.float32, sitk.sitkFloat64: np.float32,
}  # fmt: skip
#: Two slices nearer than this lie at the same place.
_SAME_PLACE_MM = 0.01
_SAME_DIRECTION = 1e-3
#: Pixel sizes that differ less are one size written with more or fewer digits, mm: 0.05 mm over 512 of them.
_SAME_PIXEL_MM = 1e-4


@dataclass(frozen=True)
class Series:
    """A volume in a folder, as a person picks one; nothing that names the patient.

    Attributes:
        study: UID of the examination that it is of.
        uid: For ``FOLDER#UID``: the series' UID, with ``:b1000`` where the series holds several b-values.
        modality, description, b_value, image_type, contrast: As in the first image's header, empty where it does not
            say; the description ends with the b-value where the series holds several.
        images: Number of files.
    """

    study: str
    uid: str
    modality: str
    description: str
    b_value: str
    image_type: str
    contrast: str
    images: int


def read_dicom_folder(folder: Path, series_uid: str | None) -> Reading:
    """The one series of a folder and its subfolders, or the one asked for; files that are no images are passed over.

    Raises:
        InputError: No image in the folder, several series and none asked for, an unknown one, a damaged file, or
            slices that do not make one volume.
    """
    series = _series_of(folder)
    volumes = _volumes(series)
    if series_uid is None and len(series) > 1:
        raise InputError(
            f"the folder {folder} holds {len(series)} DICOM series, one is needed: {_listed(volumes)}; "
            f"ask for one with {folder}#SERIES_UID"
        )
    if series_uid is not None and series_uid not in (*series, *volumes):
        raise InputError(f"the folder {folder} has no DICOM series {series_uid}; it holds {_listed(volumes)}")
    name = series_uid or next(iter(series))
    if name not in volumes:
        own = volumes_of(name, series[name])
        raise InputError(
            f"{folder} holds {len(series[name])} images with {len(own)} b-values in one series, one b-value is needed "
            f"(for a DWI usually the highest): {_listed(own)}; ask for one with {folder}#{next(iter(own))}"
        )
    return _read_slices(str(folder), volumes[name])


def list_series(folder: Path) -> list[Series]:
    """The volumes of a folder and its subfolders, in the order of their first files: series, and b-values of one.

    Raises:
        InputError: No image in the folder, or a damaged one.
    """
    return run_to_end(series_in_steps(folder))


def series_in_steps(folder: Path) -> Generator[tuple[int, int], None, list[Series]]:
    """As ``list_series``, for who must not wait: yields how many files were read, and of how many, after each.

    Raises:
        InputError: As ``list_series``.
    """
    series = yield from _series_in_steps(folder)
    return [
        Series(
            items[0].study,
            name,
            items[0].modality,
            description_of(name, items[0].description),
            items[0].b_value,
            items[0].image_type,
            items[0].contrast,
            len(items),
        )
        for name, items in _volumes(series).items()
    ]


def files_of(folder: Path, name: str) -> list[Path]:
    """The files of a volume that ``list_series`` names, or of a whole series; none where there is no such.

    Raises:
        InputError: No image in the folder, or a damaged one.
    """
    series = _series_of(folder)
    return [item.path for item in (series | _volumes(series)).get(name, [])]


def _volumes(series: dict[str, list[Slice]]) -> dict[str, list[Slice]]:
    return {name: items for uid, slices in series.items() for name, items in volumes_of(uid, slices).items()}


def _series_of(folder: Path) -> dict[str, list[Slice]]:
    """Headers by series UID; localizers are passed over as they are no scan, unless there is nothing else.

    Raises:
        InputError: No image in the folder, or a damaged one.
    """
    return run_to_end(_series_in_steps(folder))


def _series_in_steps(folder: Path) -> Generator[tuple[int, int], None, dict[str, list[Slice]]]:
    files: list[Path] = []
    for root, _folders, names in os.walk(folder):
        files += (Path(root) / name for name in names)
        yield 0, len(files)
    files.sort()
    if not files:
        raise InputError(f"the folder {folder} is empty, a folder of DICOM images is needed: check the path")
    slices = []
    for number, file in enumerate(files, start=1):
        header = read_header(file)
        slices += [header] if header is not None else []
        yield number, len(files)
    if not slices:
        others = [f.name for f in files if f.name.lower().endswith((".nii", ".nii.gz", ".nrrd", ".mha"))]
        cure = f"give the file itself, {folder / others[0]}" if others else "check the path"
        raise InputError(
            f"the folder {folder} holds no DICOM image among its {len(files)} files, one is needed: {cure}"
        )
    scans = [s for s in slices if "LOCALIZER" not in s.image_type.split("\\")]
    series: dict[str, list[Slice]] = {}
    for item in scans or slices:
        series.setdefault(item.series, []).append(item)
    return series


def read_dicom_file(path: Path) -> Reading:
    """A single DICOM file: one slice.

    Raises:
        InputError: It is damaged, no image, or not one gray slice with a position.
    """
    header = read_header(path)
    if header is None:
        raise InputError(f"{path} is a DICOM file without an image (a report or an index), a CT or MR slice is needed")
    return _read_slices(str(path), [header])


def _listed(volumes: dict[str, list[Slice]]) -> str:
    return ", ".join(
        f"{name} ({description_of(name, items[0].description) or 'no description'}, "
        f"{items[0].modality or 'no modality'}, {len(items)} images)"
        for name, items in volumes.items()
    )


def _read_slices(source: str, slices: Sequence[Slice]) -> Reading:
    first = slices[0]
    _check_one_stack(source, slices)
    axes = _axes(source, first.axes)
    slices, warnings = _sorted_once(source, slices, axes[:, 2])
    if len(slices) == 1 and first.thickness_mm == 0:
        warnings.append(f"{source} is a single slice of unknown thickness: 1 mm was assumed, its volumes are a guess")
    positions = np.array([s.position for s in slices])
    array = _pixels(slices)
    try:
        volume, warning = stack_to_volume(
            array, positions, axes, (first.spacing_ij_mm[0], first.spacing_ij_mm[1]), first.thickness_mm or 1.0
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    if warning:
        warnings.append(f"{source} {warning}")
    return Reading(volume, tuple(warnings), first.modality or None)


def _check_one_stack(source: str, slices: Sequence[Slice]) -> None:
    """Refuses what is not a stack of parallel gray slices of one size."""
    first = slices[0]
    for item in slices:
        if item.components != 1:
            raise InputError(f"{item.path} is a color image, a gray one is needed: give the original CT or MR series")
        if item.frames != 1 or item.mosaic:
            kind = "a mosaic of slices" if item.mosaic else f"{item.frames} frames"
            raise InputError(
                f"{item.path} holds {kind} in one DICOM file, one slice a file is needed: "
                f"convert it to NIfTI, for example with dcm2niix or Slicer"
            )
        if (
            len(item.position) != 3
            or len(item.axes) != 6
            or len(item.spacing_ij_mm) != 2
            or min(item.spacing_ij_mm) <= 0
        ):
            raise InputError(
                f"{item.path} does not say where its slice lies (position, orientation or pixel spacing is missing), "
                f"an original CT or MR slice is needed: leave it out, or give the series as NIfTI"
            )
    sizes = Counter(_size_of(item, first) for item in slices)
    if len(sizes) > 1:
        kinds = ", ".join(f"{count} of {size}" for size, count in sizes.items())
        raise InputError(f"the slices of {source} differ in size ({kinds}), one size is needed: take the others out")
    turned = [s for s in slices if np.abs(np.subtract(s.axes, first.axes)).max() > _SAME_DIRECTION]
    if turned:
        raise InputError(
            f"{len(turned)} of the {len(slices)} slices of {source} lie in another plane "
            f"(such as {turned[0].path.name}), parallel slices are needed: take the others out (is it a localizer?)"
        )


def _size_of(item: Slice, first: Slice) -> str:
    """Pixels of a slice in words; a pixel that is as large as the first slice's, but for rounding, is told as that."""
    same = np.allclose(item.spacing_ij_mm, first.spacing_ij_mm, rtol=0, atol=_SAME_PIXEL_MM)
    i_mm, j_mm = (first if same else item).spacing_ij_mm
    return f"{item.size[0]} x {item.size[1]} pixels of {i_mm:g} x {j_mm:g} mm"


def _axes(source: str, numbers: tuple[float, ...]) -> NDArray[np.float64]:
    """3x3, columns i, j and their normal, made exactly orthonormal from DICOM's rounded numbers."""
    i, j = np.array(numbers[:3]), np.array(numbers[3:])
    normal = np.cross(i, j)
    lengths = [float(np.linalg.norm(v)) for v in (i, j, normal)]
    if max(abs(length - 1) for length in lengths) > 10 * _SAME_DIRECTION:
        raise InputError(
            f"{source} has a broken image orientation {numbers}, two unit vectors at right angles are needed"
        )
    i, normal = i / lengths[0], normal / lengths[2]
    return np.stack([i, np.cross(normal, i), normal], axis=1)


def _sorted_once(source: str, slices: Sequence[Slice], normal: NDArray[np.float64]) -> tuple[list[Slice], list[str]]:
    """Slices from the lowest to the highest along the normal, copies of a file left out.

    Raises:
        InputError: Different images lie at the same place: several volumes in one series.
    """
    seen: dict[str, Slice] = {}
    for item in slices:
        seen.setdefault(item.instance or str(item.path), item)
    unique: list[Slice] = []
    for item in sorted(seen.values(), key=lambda s: float(np.dot(s.position, normal))):
        last = unique[-1] if unique else None
        if last is None or not _same_place(item, last, normal) or not _same_pixels(item, last):
            unique.append(item)
    places = 1 + sum(not _same_place(a, b, normal) for a, b in pairwise(unique))
    if places < len(unique):
        raise InputError(
            f"{source} holds {len(unique)} images at {places} slice positions ({len(unique) / places:g} volumes in one "
            f"series), one volume is needed: split it, for example with dcm2niix, and give the file you need"
        )
    copies = len(slices) - len(unique)
    return unique, [f"{source} holds {copies} copies of its slices, they were left out"] if copies else []


def _same_place(a: Slice, b: Slice, normal: NDArray[np.float64]) -> bool:
    return abs(float(np.dot(np.subtract(a.position, b.position), normal))) <= _SAME_PLACE_MM


def _same_pixels(a: Slice, b: Slice) -> bool:
    """Whether two files hold one image, exported twice under two names."""
    return bool(np.array_equal(_pixels([a]), _pixels([b])))


def _pixels(slices: Sequence[Slice]) -> NDArray[Any]:
    """Shape ``(K, J, I)``, rescaled values in the smallest type that holds all slices."""
    dtype = np.result_type(*{_DTYPES.get(s.pixel_id, np.float32) for s in slices})
    if dtype.kind == "f":
        dtype = np.dtype(np.float32)
    array = np.empty((len(slices), *slices[0].size[::-1]), dtype)
    for index, item in enumerate(slices):
        try:
            with quiet_itk():
                image = sitk.ReadImage(str(item.path), imageIO="GDCMImageIO")
        except RuntimeError as error:
            raise InputError(
                f"{item.path} is a damaged DICOM image, its pixels can not be decoded: copy it again"
            ) from error
        array[index] = sitk.GetArrayViewFromImage(image).reshape(array.shape[1:])
    return array
