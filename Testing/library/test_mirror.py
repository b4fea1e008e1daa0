"""The other side of a head, and the difference to it that a network for early infarcts can be given."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.preprocess.mirror import mirrored
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.systems.base import prepare_inputs
from StrokeSegLib.volume import Volume


def test_across_a_sagittal_plane_columns_change_places() -> None:
    image = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), (2.0, 2.0, 5.0), (10.0, 0.0, 0.0), np.eye(3))
    there = mirrored(image, np.array([13.0, 0, 0]))  # between the second and the third column
    assert np.array_equal(there, image.array[..., ::-1])
    beside = mirrored(image, np.array([12.0, 0, 0]))  # the second column
    assert np.array_equal(beside[..., :3], image.array[..., 2::-1])
    assert np.isnan(beside[..., 3]).all()


def test_a_tilted_plane_on_a_turned_grid() -> None:
    """Each value is the place's own coordinate, so that the mirror image's value is known by arithmetic."""
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    grid = Volume(np.zeros((6, 9, 9), np.float32), (2.0, 2.0, 3.0), (-8.0, -8.0, -7.0), turn)
    k, j, i = np.indices(grid.array.shape)
    places = grid.ijk_to_lps(np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1))
    plane = np.array([-1.0, 0.2, -0.1])  # x = -1 + 0.2 y - 0.1 z
    normal = np.array([1.0, -0.2, 0.1])
    distance = (places @ normal + 1.0) / (normal @ normal)
    reflected = places - 2 * distance[:, None] * normal
    for axis in range(3):
        got = mirrored(grid.with_array(places[:, axis].reshape(grid.array.shape)), plane, order=1).ravel()
        inside = np.isfinite(got)
        assert inside.sum() > 40
        assert got[inside] == pytest.approx(reflected[inside, axis], abs=1e-3)


def test_a_dark_area_on_one_side_shows_in_the_second_channel() -> None:
    """A brain (an egg, as a ball has no sides) at 35 HU with 6 HU less on the left: -0.6 there, +0.6 on the right."""
    k, j, i = np.indices((30, 80, 80))
    place = np.stack([(i - 39.5) * 2.0, (j - 39.5) * 2.0, (k - 14.5) * 4.0])
    radii = np.array([52.0, 68.0, 56.0])[:, None, None, None]
    brain = ((place / radii) ** 2).sum(axis=0) < 1
    dark = ((place - np.array([26, 0, 0])[:, None, None, None]) ** 2).sum(axis=0) < 15**2
    hu = np.where(brain, np.where(dark, 29, 35), 0).astype(np.float32)
    ct = Volume(hu, (2.0, 2.0, 4.0), (-79.0, -79.0, -58.0), np.eye(3))
    settings = {"in_plane_mm": 2.0, "other_side": True}
    prepared = prepare_inputs(SYSTEMS["noncontrast-ct"], {"ct": ct}, settings)
    alone = prepare_inputs(SYSTEMS["noncontrast-ct"], {"ct": ct}, {"in_plane_mm": 2.0})
    assert prepared.channels.shape[0] == 2
    assert np.array_equal(prepared.channels[0], alone.channels[0])
    inner = ((place / radii) ** 2).sum(axis=0) < 0.8
    difference = prepared.channels[1]
    assert np.median(difference[dark]) == pytest.approx(-0.6, abs=0.02)
    assert np.median(difference[dark[..., ::-1]]) == pytest.approx(0.6, abs=0.02)
    quiet = inner & ~dark & ~dark[..., ::-1]
    assert np.mean(np.abs(difference[quiet]) < 0.05) > 0.95
    assert (difference[~prepared.brain] == 0).all()
