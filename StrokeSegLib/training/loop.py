"""The training loop: one for all systems, on one process or several, resumed as if it had never stopped."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.networks import build_network
from StrokeSegLib.training.checkpoint import CHECKPOINT, State, copied_average, read_checkpoint, update_average
from StrokeSegLib.training.curves import CURVES, draw_curves
from StrokeSegLib.training.data import Data, check_data, describe, opened
from StrokeSegLib.training.distributed import Group, process_group
from StrokeSegLib.training.forward import compiled_or_not, memory_format, on_device, usable_precision
from StrokeSegLib.training.initial import load_initial_weights
from StrokeSegLib.training.logs import RunLog, read_log
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.recipes import Plan, Recipe, recipe_for
from StrokeSegLib.training.run_folder import BAD_BATCH, note, open_run, write_json
from StrokeSegLib.training.source import Batch, Cases, Source
from StrokeSegLib.training.stopping import stopper

#: Seconds between checkpoints, and steps between rows of the log.
CHECKPOINT_EVERY_S, LOG_EVERY = 120.0, 50
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(
    preset: Preset,
    data: Data,
    out: Path,
    *,
    resume: bool = False,
    init: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Trains the networks of a preset, one after the other.

    Under ``torchrun`` each process takes its part of every batch; the weights are those that one process would find.
    Ctrl-C, SIGTERM and a raising ``progress`` leave a checkpoint of the last whole step.

    Args:
        preset: From ``find_preset``, perhaps through ``with_settings``.
        data: Cases of a table (those of split ``train`` or none), or generated images.
        out: Run folder: run.json, log.csv, tensorboard/, curves.png, and a folder with checkpoint.pt a network.
        resume: Go on with the run that is there, if there is one.
        init: A model's id or folder, or a run's checkpoint.pt, whose weights the training begins with.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        progress: Called with ("train", steps done, steps in all).
        cache_dir: Where prepared cases are kept; ``out/cache`` when None.

    Returns:
        The run folder.

    Raises:
        InputError: The folder, the data, the device or ``init`` do not fit; or the loss became NaN or infinite, and
            the names of that batch's cases are in ``out/bad_batch.json``.
        KeyboardInterrupt: It was stopped.
    """
    recipe = recipe_for(preset)
    tell = progress or _silent
    with process_group(device) as group:
        group.share(preset.batch_size)
        if group.first:
            check_data(data, recipe)
            open_run(out, preset, describe(data), resume=resume, init=init)
        group.smallest(0)  # the others wait until the folder is there
        for number, plan in enumerate(recipe.plans):
            done = number * preset.steps

            def told(stage: str, now: int, total: int, done: int = done) -> None:
                if group.first and stage == "train":
                    tell(stage, done + now, total * len(recipe.plans))
                elif group.first:
                    tell(stage, now, total)

            step = _step_of(out / plan.name / CHECKPOINT)
            if step >= preset.steps:
                continue
            cache = out / "cache" if cache_dir is None else cache_dir
            with opened(data, recipe, plan, group, step=step, cache_dir=cache, progress=told) as (source, cases):
                _fit(recipe, plan, source, cases, group, out, init, told)
        if group.first:
            draw_curves(read_log(out), out / CURVES, f"{preset.system}, {preset.name} preset")
    return out


def _fit(
    recipe: Recipe,
    plan: Plan,
    source: Source,
    cases: Cases,
    group: Group,
    run: Path,
    init: str | None,
    tell: Progress,
) -> None:
    """Trains one network to its last step."""
    preset, path = recipe.preset, run / plan.name / CHECKPOINT
    share = group.share(preset.batch_size)
    sample = source.batch(0, range(1))
    state, notes = _begin(recipe, plan, sample, cases, group, path, init)
    forward, why = compiled_or_not(state.net, preset.compile, sample, group.device)
    precision, instead = usable_precision(state.net, PRECISIONS[preset.precision], sample, group.device)
    steps = _Steps(recipe, plan, state, group, forward, precision, run)
    log = RunLog(run, plan.name, state.step) if group.first else None
    if group.first:
        weights = sum(p.numel() for p in state.net.parameters())
        note(run, plan.name, {"weights": weights, **state.facts}, [*notes, *why, *instead])
    saved = time.monotonic()
    with stopper() as stopped, ThreadPoolExecutor(1) as reader:
        following = reader.submit(source.batch, state.step, share)
        while state.step < preset.steps:
            batch = following.result()
            following = reader.submit(source.batch, state.step + 1, share)  # read while this one trains
            steps.take(batch)
            last = state.step == preset.steps
            if state.step % LOG_EVERY == 0 or last:
                values = steps.means()
                if log is not None:
                    log.write(state.step, values)
            (go_on,) = group.smallest(0 if stopped.is_set() else 1)
            if group.first and (last or not go_on or time.monotonic() - saved > CHECKPOINT_EVERY_S):
                state.save(path)
                saved = time.monotonic()
            if not go_on:
                raise KeyboardInterrupt
            _tell(tell, state, preset.steps, path)
    if log is not None:
        log.close()


def _tell(tell: Progress, state: State, steps: int, path: Path) -> None:
    """Tells the progress; an answer that cancels leaves a checkpoint."""
    try:
        tell("train", state.step, steps)
    except BaseException:
        state.save(path)
        raise


class _Steps:
    """Takes optimizer steps and sums up what the log wants to know."""

    def __init__(
        self,
        recipe: Recipe,
        plan: Plan,
        state: State,
        group: Group,
        forward: Any,
        precision: torch.dtype,
        run: Path,
    ) -> None:
        self.recipe, self.plan, self.state, self.group, self.run = recipe, plan, state, group, run
        self.forward, self.precision = forward, precision
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
            logits = self.forward(x)
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


def _begin(
    recipe: Recipe, plan: Plan, sample: Batch, cases: Cases, group: Group, path: Path, init: str | None
) -> tuple[State, list[str]]:
    """The network, its optimizer and everything the export needs to know, new or from the checkpoint; and notes."""
    preset, device = recipe.preset, group.device
    if preset.precision == "fp16" and device.type == "mps":
        raise InputError("precision fp16 is not for mps; use precision=bf16 or fp32")
    settings = recipe.network_settings(sample.x.shape[1], sample.y.shape[1])
    torch.manual_seed(plan.seed)
    net = build_network(recipe.network, settings)
    notes: list[str] = []
    if path.exists():
        pass  # its own weights come below
    elif init is not None:
        load_initial_weights(net, recipe.network, plan.name, init)
    else:
        notes = recipe.begin(net)
    net.to(device=device, memory_format=memory_format(sample.x.ndim))  # type: ignore[call-overload]
    facts = recipe.count_facts(cases)
    if facts:
        shared = group.mean(torch.tensor(list(facts.values()), dtype=torch.float32, device=device))
        facts = dict(zip(facts, shared.tolist(), strict=True))
    state = State(
        net=net,
        average=copied_average(net) if recipe.ema else None,
        optimizer=recipe.optimizer(net),
        scaler=torch.amp.GradScaler(device.type, enabled=preset.precision == "fp16"),
        facts=facts,
        description={
            "system": preset.system,
            "preset": preset.as_dict(),
            "network": recipe.network,
            "network_name": plan.name,
            "network_settings": settings,
            "prepare_settings": recipe.prepare_settings,
            "inference_settings": recipe.inference_settings,
        },
    )
    if path.exists():
        state.load(path)
    return state, notes


def _step_of(path: Path) -> int:
    return int(read_checkpoint(path)["step"]) if path.exists() else 0


def _silent(stage: str, done: int, total: int) -> None:
    """No progress shown."""
