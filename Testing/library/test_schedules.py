"""The papers' learning rates at the steps that systems.md names."""

from __future__ import annotations

import pytest

from StrokeSegLib.training.schedules import constant, exponential, step_with_floor


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-4),
        (4_999, 1e-4),
        (5_000, 5e-5),
        (9_999, 5e-5),
        (10_000, 2.5e-5),
        (14_999, 2.5e-5),
        (15_000, 1.25e-5),
        (20_000, 1.25e-5),
        (40_000, 1.25e-5),
    ],
)
def test_the_step_schedule_halves_three_times_and_then_stays(step: int, rate: float) -> None:
    assert step_with_floor(step, 1e-4) == pytest.approx(rate, rel=1e-12)


def test_the_floor_follows_another_first_rate_and_the_steps_another_length() -> None:
    assert step_with_floor(10**9, 8e-3) == pytest.approx(1e-3)
    assert [step_with_floor(step, 1.0, every=2) for step in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_exponential_schedule_ends_at_a_hundredth() -> None:
    assert exponential(0, 1e-4) == 1e-4
    assert exponential(1, 1e-4) == pytest.approx(1e-4 * 0.99977)
    assert exponential(20_000, 1e-4) == pytest.approx(1.005e-6, rel=1e-3)
    assert exponential(20_000, 1e-4) == pytest.approx(1e-4 * 0.99977**20_000)


def test_the_constant_schedule_does_not_move() -> None:
    assert {constant(step, 2e-4) for step in (0, 1, 650_000)} == {2e-4}
    assert constant(100, 1e-5) == 1e-5


def test_no_schedule_ever_rises() -> None:
    for schedule in (step_with_floor, exponential, constant):
        rates = [schedule(step, 1e-3) for step in range(0, 50_000, 250)]
        assert rates == sorted(rates, reverse=True)
