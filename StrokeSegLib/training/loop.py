"""The training loop: one for all systems, on one process or several, resumed as if it had never stopped."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import torch

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.networks import build_network
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.checkpoint import CHECKPOINT, State, copied_average, read_checkpoint
from StrokeSegLib.training.counted import count_prepare_settings, with_prepare_settings
from StrokeSegLib.training.curves import CURVES, draw_curves
from StrokeSegLib.training.data import Data, check_data, describe, opened
from StrokeSegLib.training.distributed import Group, process_group
from StrokeSegLib.training.forward import memory_format
from StrokeSegLib.training.initial import load_initial_weights
from StrokeSegLib.training.logs import RunLog, read_log
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.recipes import Plan, Recipe, recipe_for
from StrokeSegLib.training.run_folder import note, note_counted, open_run, read_run
from StrokeSegLib.training.selection import Keeper
from StrokeSegLib.training.source import Batch, Cases, Source
from StrokeSegLib.training.steps import Steps
from StrokeSegLib.training.stopping import stopper
from StrokeSegLib.training.validation import check_validation, validation_cases

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
        data: Cases of a table (those of split ``train`` or none; those of split ``val`` validate), or generated images.
        out: Run folder: run.json, log.csv, tensorboard/, curves.png, and for each network a folder with checkpoint.pt
            and, where it was validated, best.pt.
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
            if preset.validate_every:
                check_validation(data, SYSTEMS[preset.system], recipe.prepare_settings)
            open_run(out, preset, describe(data), resume=resume, init=init)
            if not read_run(out)["counted"]:
                note_counted(out, count_prepare_settings(recipe, data, tell))
        group.smallest(0)  # the others wait until the folder is there
        recipe = with_prepare_settings(recipe, read_run(out)["counted"])
        keeper = Keeper(preset, validation_cases(data), list(SYSTEMS[preset.system].labels), out)
        for number, plan in enumerate(recipe.plans):
            done = number * preset.steps

            def told(stage: str, now: int, total: int, done: int = done) -> None:
                if group.first and stage == "train":
                    tell(stage, done + now, total * len(recipe.plans))
                elif group.first:
                    tell(stage, now, total)

            step, validated = _reached(out / plan.name / CHECKPOINT)
            if step >= preset.steps and not keeper.due(step, validated):
                continue
            cache = out / "cache" if cache_dir is None else cache_dir
            with opened(data, recipe, plan, group, step=step, cache_dir=cache, progress=told) as (source, cases):
                _fit(_Job(recipe, plan, keeper, group, out, init, told), source, cases)
        if group.first:
            draw_curves(read_log(out), out / CURVES, f"{preset.system}, {preset.name} preset")
    return out


@dataclass(frozen=True, eq=False)
class _Job:
    """One network of a run to be trained."""

    recipe: Recipe
    plan: Plan
    keeper: Keeper
    group: Group
    run: Path
    init: str | None
    tell: Progress

    @property
    def path(self) -> Path:
        """Of its checkpoint."""
        return self.run / self.plan.name / CHECKPOINT


def _fit(job: _Job, source: Source, cases: Cases) -> None:
    """Trains one network to its last step."""
    preset, group, plan = job.recipe.preset, job.group, job.plan
    share = group.share(preset.batch_size)
    sample = source.batch(0, range(1))
    state, notes = _begin(job, sample, cases)
    steps = Steps(job.recipe, plan, state, group, PRECISIONS[preset.precision], job.run)
    log = RunLog(job.run, plan.name, state.step) if group.first else None
    if group.first:
        weights = sum(p.numel() for p in state.net.parameters())
        note(job.run, plan.name, {"weights": weights, **state.facts}, [*notes, *job.keeper.notes])
    with stopper() as stopped, ThreadPoolExecutor(1) as reader:
        watch = _Watch(job, state, steps, log, stopped)
        if job.keeper.due(state.step, state.validated):  # it was stopped before it could
            watch.look()
        following = reader.submit(source.batch, state.step, share)
        while state.step < preset.steps:
            batch = following.result()
            following = reader.submit(source.batch, state.step + 1, share)  # read while this one trains
            steps.take(batch)
            watch.after_step()
    if log is not None:
        log.close()


class _Watch:
    """What happens between steps: the log, validation, checkpoints, progress and stopping."""

    def __init__(self, job: _Job, state: State, steps: Steps, log: RunLog | None, stopped: Event) -> None:
        self._job, self._state, self._steps, self._log, self._stopped = job, state, steps, log, stopped
        self._saved = time.monotonic()

    def after_step(self) -> None:
        """Logs, validates, saves and tells what is due.

        Raises:
            KeyboardInterrupt: It was asked to stop; a checkpoint of this step is there.
        """
        job, state, last = self._job, self._state, self._state.step >= self._job.recipe.preset.steps
        due = job.keeper.due(state.step, state.validated)
        if state.step % LOG_EVERY == 0 or last or due:
            values = self._steps.means()
            if self._log is not None:
                self._log.write(state.step, {**values, **job.keeper.columns})
        if due:
            self.look()
        go_on = self._go_on()
        if job.group.first and not due and (last or not go_on or time.monotonic() - self._saved > CHECKPOINT_EVERY_S):
            self._save()
        if not go_on:
            raise KeyboardInterrupt
        try:
            job.tell("train", state.step, job.recipe.preset.steps)
        except BaseException:
            state.save(job.path)
            raise

    def look(self) -> None:
        """Validates on the first process; what ends it early leaves a checkpoint from which it is begun again.

        Raises:
            KeyboardInterrupt: It was asked to stop.
        """
        job, state = self._job, self._state
        if self._log is not None:
            self._save()
            try:
                self._log.fill(state.step, job.keeper.look(state, job.group.device, self._unless_stopped))
                self._save()
            except KeyboardInterrupt:
                self._stopped.set()
        if not self._go_on():  # the others wait here
            raise KeyboardInterrupt
        self._steps.started = time.monotonic()  # validation does not count as time of the next steps

    def _unless_stopped(self, stage: str, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise KeyboardInterrupt
        self._job.tell(stage, done, total)

    def _go_on(self) -> bool:
        (go_on,) = self._job.group.smallest(0 if self._stopped.is_set() else 1)
        return bool(go_on)

    def _save(self) -> None:
        self._state.save(self._job.path)
        self._saved = time.monotonic()


def _begin(job: _Job, sample: Batch, cases: Cases) -> tuple[State, list[str]]:
    """The network, its optimizer and everything the export needs to know, new or from the checkpoint; and notes."""
    recipe, plan, path, init = job.recipe, job.plan, job.path, job.init
    preset, device = recipe.preset, job.group.device
    if preset.precision == "fp16" and device.type == "mps":
        raise InputError("precision fp16 is not for mps; use precision=bf16 or fp32")
    settings = recipe.network_settings(sample.x.shape[1], sample.y.shape[1])
    torch.manual_seed(plan.seed)
    net = build_network(recipe.network, settings)
    notes: list[str] = []
    if path.exists():
        pass  # its own weights come below
    elif init is not None:
        notes = load_initial_weights(net, recipe.network, plan.name, init)
    else:
        notes = recipe.begin(net)
    net.to(device=device, memory_format=memory_format(sample.x.ndim))  # type: ignore[call-overload]
    facts = recipe.count_facts(cases)
    if facts:
        shared = job.group.mean(torch.tensor(list(facts.values()), dtype=torch.float32, device=device))
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


def _reached(path: Path) -> tuple[int, int]:
    """Steps that a checkpoint has behind it, and those at its latest validation."""
    if not path.exists():
        return 0, 0
    content = read_checkpoint(path)
    return int(content["step"]), int(content.get("validation", {}).get("step", 0))


def _silent(stage: str, done: int, total: int) -> None:
    """No progress shown."""
