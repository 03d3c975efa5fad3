"""The training loop, the same for every network: steps, validation, checkpoints, stopping and going on.

A learner says what a batch gives and what that is worth; the engine does the rest. There is no wrapper around the network:
every process returns the same global loss (see `sleepfm.training.collectives`) and the gradients are averaged here.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sleepfm.errors import Cancelled, ModelError, RequestError, SleepFMError
from sleepfm.progress import Progress, silent
from sleepfm.training.batch_norm import frozen_statistics
from sleepfm.training.checkpoints import BEST, LAST, load_checkpoint, save_checkpoint
from sleepfm.training.device_use import DeviceUse
from sleepfm.training.loss import Loss
from sleepfm.training.optimiser import learning_rate, make_optimiser, set_rate
from sleepfm.training.processes import Team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.settings import TrainingSettings

Batch = TypeVar("Batch")
Taken_contra = TypeVar("Taken_contra", contravariant=True)
Given_co = TypeVar("Given_co", covariant=True)
Outputs = tuple[Tensor, ...]
_MOST_BAD_STEPS = 5
REPORT_S = 1.0
"""Seconds between two reports of a run's state."""
DEVICE_S = 10.0
"""Seconds between two looks at how busy the device is."""


class Learner(Protocol[Taken_contra]):
    """What is trained, and how a batch is judged."""

    network: nn.Module

    def outputs(self, batch: Taken_contra) -> Outputs:
        """Return what the network makes of this process's part of a batch, differentiable, one row a sample."""
        ...

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[Taken_contra]) -> Loss:
        """Judge the outputs of one or several batches together, over all processes."""
        ...

    def describe(self, batch: Taken_contra) -> str:
        """Return which recordings a batch is made of, for a message."""
        ...


class Source(Protocol[Given_co]):
    """Where the batches come from; the same epoch and start always give the same batches."""

    def steps(self, epoch: int) -> int:
        """Return how many batches the epoch has."""
        ...

    def batches(self, epoch: int, start: int = 0) -> Iterator[Given_co]:
        """Give the epoch's batches from number `start` on."""
        ...


@dataclass
class Course:
    """Where a run stands.

    Attributes
    ----------
    step
        Optimiser steps so far.
    epoch, batch
        The next batch.
    best, waited
        Lowest validation loss and the validations since.
    validated
        The step of the last validation.
    seconds
        Time spent training, waiting for data included, over all resumptions.
    skipped
        Steps that were left out because their loss or gradient was no number.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float = math.inf
    best_step: int = 0
    waited: int = 0
    validated: int = -1
    seconds: float = 0.0
    samples: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `state`, why, and where it stood."""

    state: Literal["finished", "stopped"]
    reason: str
    course: Course


class Trainer(Generic[Batch]):
    """Trains a learner.

    Parameters
    ----------
    learner
        Its network stands on the device already.
    settings
        The course of the run.
    folder
        Where it is written down.
    train, validate
        Batches to learn from, and to stop by.
    team
        The processes of the run.
    """

    def __init__(
        self,
        learner: Learner[Batch],
        settings: TrainingSettings,
        folder: RunFolder,
        *,
        train: Source[Batch],
        validate: Source[Batch],
        team: Team | None = None,
        progress: Progress = silent,
    ) -> None:
        self._learner = learner
        self._settings = settings
        self._folder = folder
        self._train, self._validate = train, validate
        self._team = team or Team()
        self._progress = progress
        self._optimiser = make_optimiser(learner.network, settings.optimiser)
        self._parameters = [p for p in learner.network.parameters() if p.requires_grad]
        self._device = next(learner.network.parameters()).device
        self._device_use = DeviceUse(self._device)
        self._steps_an_epoch = train.steps(0) // settings.accumulate
        if self._steps_an_epoch < 1:
            raise RequestError(
                f"an epoch has {train.steps(0)} batches, fewer than training.accumulate ({settings.accumulate}): lower it,"
                " or training.batch_size"
            )
        total = settings.epochs * self._steps_an_epoch
        self._total_steps = min(total, settings.max_steps or total)
        self._stop = threading.Event()
        self._bad_in_a_row = 0
        self.course = Course()

    def run(self, *, resume: bool = False) -> Outcome:
        """Train to the end, or until a signal (SIGTERM, Ctrl-C) or a cancelled progress asks to stop.

        Raises
        ------
        ModelError
            The loss or the gradient is no number several times in a row, or a checkpoint is of another shape.
        SleepFMError
            The last checkpoint cannot be written.
        """
        if resume and (self._folder.checkpoints / LAST).is_file():
            self._load()
        elif resume:
            self._folder.forget_after(-1)
        with self._stopping_by_signal():
            outcome = self._loop()
        self._folder.state(state=outcome.state, reason=outcome.reason, fraction=self._fraction(), step=self.course.step)
        return outcome

    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights of the lowest validation loss."""
        return dict(load_checkpoint(self._folder.checkpoints, BEST)["network"])

    def _loop(self) -> Outcome:
        course, settings = self.course, self._settings
        while course.step < self._total_steps:
            mark = time.monotonic()
            for batches in self._groups(course.epoch, course.batch):
                self._step(batches, mark)
                course.batch += len(batches)
                self._log_device_use()
                validates = self._due()
                if course.batch + settings.accumulate > self._train.steps(course.epoch):
                    course.epoch, course.batch = course.epoch + 1, 0
                if validates and self._validation():
                    return self._end(f"no lower validation loss for {settings.patience} validations")
                self._report()
                if self._agree(self._stop.is_set()):
                    self._checkpoint(LAST, must=True)
                    return Outcome("stopped", "asked to stop", course)
                if time.monotonic() - self._last_checkpoint > 60 * settings.checkpoint_minutes:
                    self._checkpoint(LAST)
                if course.step >= self._total_steps:
                    break
                mark = time.monotonic()
        return self._end("all steps done")

    def _end(self, reason: str) -> Outcome:
        if self.course.step != self.course.validated:
            self._validation()
        self._checkpoint(LAST, must=True)
        return Outcome("finished", reason, self.course)

    def _groups(self, epoch: int, start: int) -> Iterator[list[Batch]]:
        """Give the batches that go into one optimiser step."""
        group: list[Batch] = []
        for batch in self._train.batches(epoch, start):
            group.append(batch)
            if len(group) == self._settings.accumulate:
                yield group
                group = []

    def _step(self, batches: Sequence[Batch], mark: float) -> None:
        """Take a step; it began at `mark` (monotonic seconds), when its batches were asked for."""
        network, course = self._learner.network, self.course
        network.train()
        rate = learning_rate(self._settings.optimiser, course.step, self._total_steps, self._steps_an_epoch)
        set_rate(self._optimiser, rate)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._backward(batches)
        norm = self._share_gradients()
        course.step += 1
        samples = sum(getattr(batch, "size", 1) for batch in batches) * self._team.size
        course.samples += samples
        value = float(loss.value.detach())
        if math.isfinite(value) and math.isfinite(norm):
            self._optimiser.step()
            self._bad_in_a_row = 0
            took = time.monotonic() - mark
            course.seconds += took
            pace = {"train/samples_per_second": samples / max(took, 1e-9), "train/seconds": course.seconds}
            self._folder.log(course.step, {"train/loss": value, "train/gradient_norm": norm, "train/learning_rate": rate}
                             | {f"train/{name}": figure for name, figure in loss.metrics.items()} | pace)  # fmt: skip
            self._last_loss = value
            return
        course.seconds += time.monotonic() - mark
        course.skipped += 1
        self._bad_in_a_row += 1
        what = "; ".join(self._learner.describe(batch) for batch in batches)
        self._folder.log(course.step, {"skipped": f"loss {value:g}, gradient norm {norm:g}: {what}"})
        if self._bad_in_a_row >= _MOST_BAD_STEPS:
            raise ModelError(
                f"the loss or its gradient was no number in {_MOST_BAD_STEPS} steps in a row (last: step {course.step}, {what});"
                " lower training.optimiser.learning_rate, or look at these recordings"
            )

    def _backward(self, batches: Sequence[Batch]) -> Loss:
        """Leave the gradients of the batches' common loss in the parameters."""
        learner = self._learner
        if len(batches) == 1:
            with self._precision():
                outputs = learner.outputs(batches[0])
            loss = learner.loss([outputs], batches)
            loss.value.backward()
            return loss
        # The loss of several batches is not the sum of theirs (negatives, risk sets), and all their graphs at once would not fit
        # in memory: so the outputs come first, then the loss and its gradient in them, then each batch again with its graph.
        chance = [self._chance()]
        leaves: list[Outputs] = []
        with frozen_statistics(learner.network), torch.no_grad():
            for batch in batches:
                with self._precision():
                    made = learner.outputs(batch)
                leaves.append(tuple(out.detach().requires_grad_(out.is_floating_point()) for out in made))
                chance.append(self._chance())
        loss = learner.loss(leaves, batches)
        loss.value.backward()
        for number, batch in enumerate(batches):
            self._set_chance(chance[number])
            with self._precision():
                made = learner.outputs(batch)
            pairs = [(out, leaf.grad) for out, leaf in zip(made, leaves[number], strict=True) if leaf.grad is not None]
            torch.autograd.backward([out for out, _ in pairs], [gradient for _, gradient in pairs])
        self._set_chance(chance[-1])
        return loss

    def _share_gradients(self) -> float:
        """Average the gradients over the processes and clip them; return their norm before."""
        if self._team.size > 1:
            flat = torch.cat([
                (torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float() for p in self._parameters
            ])  # fmt: skip
            dist.all_reduce(flat)
            flat /= self._team.size
            for p, part in zip(self._parameters, flat.split([p.numel() for p in self._parameters]), strict=True):
                p.grad = part.view_as(p).to(p.dtype)
        clip = self._settings.optimiser.clip
        return float(nn.utils.clip_grad_norm_(self._parameters, math.inf if clip is None else clip))

    _last_loss = math.nan
    _last_checkpoint = 0.0
    _last_report = 0.0
    _last_device = 0.0

    def _log_device_use(self) -> None:
        if self._team.leads and time.monotonic() - self._last_device > DEVICE_S:
            self._last_device = time.monotonic()
            self._folder.log(self.course.step, self._device_use.figures())

    def _due(self) -> bool:
        course, every = self.course, self._settings.validate_every
        if course.step >= self._total_steps:
            return True
        if every is not None:
            return course.step % every == 0
        return course.batch + self._settings.accumulate > self._train.steps(course.epoch)

    def _validation(self) -> bool:
        """Measure the validation loss, keep the best weights, and return whether to stop."""
        course = self.course
        course.validated = course.step
        metrics = self.validate()
        value = metrics["loss"]
        self._folder.log(course.step, {f"validation/{name}": figure for name, figure in metrics.items()})
        if not math.isfinite(value):
            raise ModelError(f"the validation loss is no number at step {course.step}; lower training.optimiser.learning_rate")
        if value < course.best:
            course.best, course.best_step, course.waited = value, course.step, 0
            self._checkpoint(BEST)
        else:
            course.waited += 1
        self._checkpoint(LAST)
        patience = self._settings.patience
        return patience is not None and course.waited >= patience

    def validate(self) -> dict[str, float]:
        """Return the mean loss and figures over the validation batches, weighted by what was judged in each."""
        network = self._learner.network
        network.eval()
        totals: dict[str, float] = {}
        weights: dict[str, float] = {}
        with torch.no_grad():
            for batch in self._validate.batches(0):
                with self._precision():
                    outputs = self._learner.outputs(batch)
                loss = self._learner.loss([outputs], [batch])
                size = getattr(batch, "size", 1) if loss.scored is None else loss.scored
                if size == 0:
                    continue
                for name, figure in {"loss": float(loss.value), **loss.metrics}.items():
                    if math.isfinite(figure) or name == "loss":
                        totals[name] = totals.get(name, 0.0) + size * figure
                        weights[name] = weights.get(name, 0.0) + size
        if not totals:
            raise RequestError("there is nothing to validate on")
        return {name: total / weights[name] for name, total in totals.items()}

    @contextmanager
    def _precision(self) -> Iterator[None]:
        if self._settings.precision == "bf16":
            with torch.autocast(self._device.type, torch.bfloat16):
                yield
        else:
            with nullcontext():
                yield

    def _chance(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def _set_chance(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state and self._device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self._device)

    def _agree(self, stop: bool) -> bool:  # noqa: FBT001 - the one thing that is agreed on
        """Return whether any process wants to stop, so that all stop at the same step."""
        if self._team.size == 1:
            return stop
        flag = torch.tensor(float(stop), device=self._device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag)

    def _fraction(self) -> float:
        return min(1.0, self.course.step / self._total_steps)

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._last_report < REPORT_S and self.course.step < self._total_steps:
            return
        self._last_report = now
        course, fraction = self.course, self._fraction()
        left_s = course.seconds * (1 - fraction) / max(fraction, 1e-9)
        rate = course.samples / max(course.seconds, 1e-9)
        message = (
            f"step {course.step} of {self._total_steps}, epoch {course.epoch + 1}, loss {self._last_loss:.4f},"
            f" {rate:.1f} samples/s"
        )
        self._folder.state(state="running", fraction=fraction, message=message, seconds_left=left_s, step=course.step)
        try:
            self._progress(fraction, message)
        except Cancelled:
            self._stop.set()

    def _checkpoint(self, name: str, *, must: bool = False) -> None:
        """Write a checkpoint; a full disk in the middle of a run is said and tried again, at its end it is an error."""
        self._last_checkpoint = time.monotonic()
        chance = self._chance()
        others: list[Any] = [None] * self._team.size
        if self._team.size > 1:
            dist.all_gather_object(others, chance)
        else:
            others = [chance]
        if not self._team.leads:
            return
        content: dict[str, Any] = {"network": self._learner.network.state_dict(), "course": dict(vars(self.course))}
        if name == LAST:
            content |= {"optimiser": self._optimiser.state_dict(), "chance": others}
        try:
            save_checkpoint(self._folder.checkpoints, name, content)
        except SleepFMError as error:
            if must or name == BEST:
                raise
            self._folder.state(state="running", fraction=self._fraction(), message=str(error), step=self.course.step)

    def _load(self) -> None:
        content = load_checkpoint(self._folder.checkpoints, LAST)
        own = self._learner.network.state_dict()
        stored = content["network"]
        other = [name for name in own if name not in stored or stored[name].shape != own[name].shape]
        if other or set(stored) - set(own):
            name = (other or sorted(set(stored) - set(own)))[0]
            raise ModelError(
                f"{self._folder.checkpoints / LAST}: a checkpoint of another network ({name} differs); start the run anew"
            )
        if len(content["chance"]) != self._team.size:
            raise RequestError(
                f"{self._folder.path}: the run had {len(content['chance'])} processes, now there are {self._team.size};"
                f" resume it with --devices {len(content['chance'])}"
            )
        self._learner.network.load_state_dict(stored)
        self._optimiser.load_state_dict(content["optimiser"])
        self.course = Course(**content["course"])
        self._set_chance(content["chance"][self._team.rank])
        self._folder.forget_after(self.course.step)

    @contextmanager
    def _stopping_by_signal(self) -> Iterator[None]:
        """Turn SIGTERM and Ctrl-C into a stop after the step, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda *_: self._stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
