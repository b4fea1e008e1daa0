"""What a user would run instead, the whole case: MONAI's own transforms from file to file, around plain torch.

Read, turned to axial, resampled to the model's spacing (bilinear, not cropped), intensities scaled, the network of
``plain``, the probability back on the scan's grid by MONAI's inverse, threshold, label and probability saved. MONAI's
defaults throughout. Each run loads the weights anew, as the existing extensions do; importing torch and MONAI, which
takes longer than that, is not counted. Neither are the finding of the brain and the leveling of a CT: MONAI has none.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.io.array import SaveImage
from monai.transforms.io.dictionary import LoadImaged
from monai.transforms.post.dictionary import Invertd
from monai.transforms.spatial.dictionary import Orientationd, Spacingd
from monai.transforms.utility.dictionary import EnsureChannelFirstd
from torch import Tensor

from StrokeSegLib.models import ModelCard
from StrokeSegLib.preprocess.brain import PARENCHYMA_ADC_UM2_PER_MS
from StrokeSegLib.preprocess.intensity import ADC_MAX, DWI_MAX
from StrokeSegLib.speed.plain import Channels, Plain, load_networks, plain_network
from StrokeSegLib.systems import SYSTEMS, ct_perfusion, mri, noncontrast_ct
from StrokeSegLib.systems.dpn92_constants import PAPER

#: The axes of MONAI's array come in the order of ours: k, j, i.
AXES = "SPL"
#: An ADC map whose median lies above this is in 1e-6 mm2/s, which a user knows of the own scans.
ADC_IN_MM2 = 50.0


@dataclass(frozen=True, eq=False)
class PlainCase:
    """One whole case.

    Attributes:
        seconds: By stage: load, read, preprocess, network, restore, write.
        network: What the network stage was made of.
    """

    seconds: dict[str, float]
    network: Plain


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds what happens inside to a stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def plain_case(card: ModelCard, paths: Mapping[str, Path], out: Path, limit_s: float) -> PlainCase:
    """Runs it, and leaves ``dwi_lesion.nii.gz`` and ``dwi_probability.nii.gz``, named by the first file, in a folder.

    Args:
        card: The model.
        paths: Role -> NIfTI file, all on one grid.
        out: The folder, made.
        limit_s: A network stage that would take longer is counted from some windows; all else is run, on zeros.
    """
    clock, roles = _Clock(), list(paths)
    with clock.stage("load"):
        networks = load_networks(card)
    with clock.stage("read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MONAI's readers of other formats, which lack packages
        read = Compose([LoadImaged(roles, reader="NibabelReader"), EnsureChannelFirstd(roles)])
        images = read({role: str(path) for role, path in paths.items()})
    grids = {}
    with clock.stage("preprocess"):
        for where, spacing_mm in _spacings(card, images[roles[0]]).items():
            turned = Compose(
                [Orientationd(roles, axcodes=AXES, labels=None), Spacingd(roles, pixdim=spacing_mm, mode="bilinear")]
            )
            grids[where] = (turned, turned(images))
        seen = {where: _channels(card, found) for where, (_, found) in grids.items()}
    network = plain_network(card, networks, seen["axial"], seen.get("isotropic"), limit_s)
    clock.seconds["network"] = network.seconds
    with clock.stage("restore"), torch.inference_mode():
        p = _restored(network, grids, roles[0])
        label = _labels(card, p)
    with clock.stage("write"):
        for name, image, kind in (("lesion", label, np.uint8), ("probability", p, np.float32)):
            SaveImage(
                out,
                output_postfix=name,
                output_dtype=kind,
                separate_folder=False,
                resample=False,
                print_log=False,
            )(image)
    return PlainCase(clock.seconds, network)


def _spacings(card: ModelCard, image: MetaTensor) -> dict[str, tuple[float, float, float]]:
    """Of the grids that the model works on, along (k, j, i), mm; ``isotropic`` where three planes are read."""
    axial: Any = Orientationd(["x"], axcodes=AXES, labels=None)({"x": image})["x"]
    own_mm = axial.pixdim.tolist()
    settings = card.prepare_settings
    defaults = {
        "mri": (mri.IN_PLANE_MM, mri.MIN_SLICE_MM),
        "noncontrast-ct": (1.0, 3.0),
        "three-projection": (1.0, 1.0),
        "ct-perfusion": (2.0, 0.0),
    }[card.system]
    in_plane = settings.get("in_plane_mm", defaults[0]) or own_mm[2]
    slice_mm = max(own_mm[0], settings.get("min_slice_mm", defaults[1]))
    spacings = {"axial": (slice_mm, in_plane, in_plane)}
    if SYSTEMS[card.system].way == "projections" and own_mm[0] <= PAPER.max_slice_mm:
        spacings["isotropic"] = (settings.get("plane_spacing_mm", PAPER.plane_spacing_mm),) * 3
    return spacings


def _channels(card: ModelCard, images: Mapping[str, Any]) -> Channels:
    """What the network sees, scaled as its kind of image usually is, ``(C, K, J, I)``."""
    scale = {
        "mri": _diffusion,
        "noncontrast-ct": _soft_tissue,
        "three-projection": _windows,
        "ct-perfusion": _perfusion,
    }[card.system]
    plain = {role: image.as_tensor().float() for role, image in images.items() if isinstance(image, MetaTensor)}
    return np.asarray(scale(card, plain).numpy(), np.float32)


def _diffusion(_: ModelCard, images: Mapping[str, Tensor]) -> Tensor:
    """DWI over its median in what has the ADC of parenchyma, and ADC in um2/ms, both clipped and centered."""
    dwi, adc = images["dwi"], images["adc"]
    bright = dwi > dwi.mean()
    adc = adc / 1000 if adc[bright].median() > ADC_IN_MM2 else adc
    low, high = PARENCHYMA_ADC_UM2_PER_MS
    scaled = dwi / dwi[bright & (adc > low) & (adc < high)].median()
    return torch.cat([(scaled.clip(0, DWI_MAX) - 1) / 1.5, adc.clip(0, ADC_MAX) - 1])


def _soft_tissue(_: ModelCard, images: Mapping[str, Tensor]) -> Tensor:
    """HU of soft tissue in SD from their mean, 0 where air or bone is."""
    hu, (low, high) = images["ct"], noncontrast_ct.CLAMP_HU
    inside = (hu > low) & (hu < high)
    values = hu[inside]
    return torch.where(inside, (hu - values.mean()) / values.std(), torch.zeros(())).clip(-5, 5)


def _windows(card: ModelCard, images: Mapping[str, Tensor]) -> Tensor:
    """A channel a window of HU, 0 to 1."""
    windows = card.prepare_settings.get("windows_hu", (PAPER.window_hu,))
    return torch.cat([((images["ct"] - low) / (high - low)).clip(0, 1) for low, high in windows])


def _perfusion(_: ModelCard, images: Mapping[str, Tensor]) -> Tensor:
    """Each map clipped and in SD from its mean where there is perfusion, 0 elsewhere; 0 for a CT that is missing."""
    inside = images["cbf"] > 0
    channels = []
    for role in ct_perfusion.CHANNELS:
        image, (low, high) = images.get(role, torch.zeros_like(inside, dtype=torch.float32)), ct_perfusion.CLIP[role]
        most = float(np.percentile(image[inside].numpy(), 99.5)) if high is None else high
        values = image.clip(low, most)
        of_brain = values[inside]
        scaled = (values - of_brain.mean()) / of_brain.std().clip(1e-6)
        channels.append(torch.where(inside, scaled, torch.zeros(())).clip(-5, 5))
    return torch.cat(channels)


def _restored(network: Plain, grids: Mapping[str, tuple[Compose, Any]], first: str) -> MetaTensor:
    """The mean of all planes on the scan's own grid, ``(labels, ...)``."""
    total: Any = None
    for where, p in network.probability.items():
        turned, found = grids[where]
        back = Invertd("p", transform=turned, orig_keys=first, nearest_interp=False)
        like = found[first]
        one = back({**found, "p": MetaTensor(p.contiguous(), meta=dict(like.meta))})["p"]
        one = one * (network.planes[where] / sum(network.planes.values()))
        total = one if total is None else total + one
    return total  # type: ignore[no-any-return]


def _labels(card: ModelCard, p: MetaTensor) -> MetaTensor:
    """Where a label's probability exceeds its threshold: its value, of the larger one where two do; uint8."""
    values = list(SYSTEMS[card.system].labels)
    thresholds = torch.tensor([card.threshold_of(value) for value in values]).reshape(-1, 1, 1, 1)
    above, which = (p - thresholds).max(dim=0, keepdim=True)
    label = torch.where(above > 0, torch.tensor(values)[which], torch.zeros((), dtype=torch.int64))
    return MetaTensor(label.to(torch.uint8), meta=dict(p.meta))
