"""Steps of the optimizer: forward, loss, backward, averaged weights; and what the log wants to know of them."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.checkpoint import State, update_average
from StrokeSegLib.training.distributed import Group
from StrokeSegLib.training.forward import on_device
from StrokeSegLib.training.recipes import Plan, Recipe
from StrokeSegLib.training.run_folder import BAD_BATCH, write_json
from StrokeSegLib.training.source import Batch


class Steps:
    """Takes optimizer steps and sums up what the log wants to know."""

    def __init__(
        self,
        recipe: Recipe,
        plan: Plan,
        state: State,
        group: Group,
        precision: torch.dtype,
        run: Path,
    ) -> None:
        self.recipe, self.plan, self.state, self.group, self.run = recipe, plan, state, group, run
        self.precision = precision
        self._begin_sums()

    def _begin_sums(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count, self.started = 0, time.monotonic()

    def take(self, batch: Batch) -> None:
        """One step.

        Raises:
            InputError: The loss or the gradient is NaN or infinite; nothing was learned from this batch.
        """
        recipe, state, group = self.recipe, self.state, self.group
        # Dropout depends on the step, not on what came before: a resumed run draws the same.
        torch.manual_seed((self.plan.seed * 1_000_003 + state.step) * 4096 + group.rank)
        recipe.set_phase(state.net, state.step)
        for each in state.optimizer.param_groups:
            each["lr"] = recipe.learning_rate(state.step) * each.get("rate_factor", 1.0)
        x, y = on_device(batch, group.device)
        with torch.autocast(group.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = state.net(x)
        terms = recipe.loss(logits, y, state.facts)
        loss = torch.stack(list(terms.values())).sum()
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        group.average_gradients(state.net.parameters())
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.net.parameters(), recipe.gradient_clip or math.inf)
        self._refuse_bad(batch, loss, norm)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.step += 1
        if state.average is not None:
            update_average(state.average, state.net, recipe.ema, state.step)
        self._add({"loss": loss, **terms, "gradient_norm": norm})

    def means(self) -> dict[str, float]:
        """Means since the last call, over all processes; and what is true now."""
        means = self.group.mean(torch.stack(list(self.sums.values())) / self.count)
        values = dict(zip(self.sums, means.tolist(), strict=True))
        values |= self.recipe.monitor(self.state.net)
        values["learning_rate"] = self.recipe.learning_rate(self.state.step - 1)
        values["seconds_per_step"] = (time.monotonic() - self.started) / self.count
        self._begin_sums()
        return values

    def _add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            detached = value.detach().float()
            self.sums[name] = self.sums[name] + detached if name in self.sums else detached
        self.count += 1

    def _refuse_bad(self, batch: Batch, loss: Tensor, norm: Tensor) -> None:
        # fp16's scaled gradients overflow now and then; the scaler leaves such a step out and scales less.
        good = torch.isfinite(loss) & (torch.isfinite(norm) | self.state.scaler.is_enabled())
        group, step = self.group, self.state.step
        (guilty,) = group.smallest(group.world if bool(good) else group.rank)
        if guilty == group.world:
            return
        if guilty == group.rank:
            facts = {"network": self.plan.name, "step": step, "loss": str(loss.item()), "cases": list(batch.names)}
            write_json(self.run / BAD_BATCH, facts)
        raise InputError(
            f"loss or gradient of {self.plan.name} is not finite at step {step}; the batch's cases are listed in "
            f"{self.run / BAD_BATCH}; check these, or train with a lower learning_rate or precision=fp32"
        )
