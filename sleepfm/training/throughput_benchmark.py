"""How fast pretraining is on this machine, beside the published loop re-created (`sleepfm.training.published_loop`).

Both loops take the same windows of the same files, the same model and optimiser, and one reader beside the trainer. They take
turns, so that whatever else the machine does hits both alike. The files are in the system's cache: this measures the loops, not
the disk. They are ours, uncompressed; the published ones are compressed, which would cost the plain loop more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from sleepfm.errors import RequestError
from sleepfm.inference.embedding_benchmark import PUBLISHED_SIZE
from sleepfm.models.encoder import Encoder
from sleepfm.signals.store_writing import SignalsHeader, SignalToStore, create_signals
from sleepfm.training.batch_norm import shared_statistics
from sleepfm.training.kept_memory import freed_memory_kept
from sleepfm.training.pretext import ContrastiveLearner
from sleepfm.training.published_loop import PaddedBatch, PlainLearner, PlainWindows, padded
from sleepfm.training.settings import AugmentationSettings, EncoderSettings, ObjectiveSettings
from sleepfm.training.window_loader import WindowBatch, WindowLoader
from sleepfm.training.windows import Store, open_store
from sleepfm.vocabulary import MODEL_RATE_HZ, WINDOW_SAMPLES, Kind, Modality

MONTAGES: tuple[tuple[int, int, int, int], ...] = ((6, 5, 1, 3), (8, 7, 1, 3), (7, 6, 2, 2), (6, 5, 1, 1))
"""Channels of BAS, RESP, EKG and EMG in the recordings of the benchmark, in turn: what sleep laboratories record."""
RECORDINGS = 8
STEPS_A_TURN = 2
"""Steps that are timed in a turn, after one that is not."""
BATCHES_A_TURN = 10
"""Batches that a loader alone is timed on in a turn, after one that is not; fewer where an epoch has fewer."""
_KINDS = (Kind.EEG, Kind.EFFORT_THORAX, Kind.ECG, Kind.LEG_EMG)
_AHEAD = 3
"""Batches more than a turn trains on, so that the reader has work until the turn ends, as in an epoch."""
_LEARNING_RATE, _MOMENTUM = 1e-3, 0.9


@dataclass
class Loop:
    """What one loop took.

    Attributes
    ----------
    step_s
        Seconds of each step, reading included.
    waited_s
        Of these, the seconds in which the trainer waited for the batch.
    batch_s
        Seconds a batch where the loader runs alone, each the mean of a turn.
    """

    step_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    batch_s: list[float] = field(default_factory=list)

    @property
    def model_s(self) -> list[float]:
        """Seconds of each step without the wait for the batch."""
        return [step - waited for step, waited in zip(self.step_s, self.waited_s, strict=True)]

    @property
    def waiting(self) -> float:
        """Share of its time that the trainer waits for batches."""
        return sum(self.waited_s) / sum(self.step_s)


@dataclass(frozen=True)
class ThroughputBenchmark:
    """Both loops with batches of so many windows; `ours_bf16` is ours under autocast, whose loader is that of `ours`."""

    windows: int
    plain: Loop = field(default_factory=Loop)
    ours: Loop = field(default_factory=Loop)
    ours_bf16: Loop = field(default_factory=Loop)

    def samples_per_s(self, seconds: list[float]) -> float:
        """Return windows a second by the median time of a batch."""
        return self.windows / median(seconds)

    @staticmethod
    def times_faster(seconds: list[float], plain_seconds: list[float]) -> float:
        """Return how many times the plain throughput ours is, by the median times."""
        return median(plain_seconds) / median(seconds)


def write_recordings(folder: Path, *, recordings: int = RECORDINGS, minutes: float = 60.0) -> Path:
    """Write signals files of noise with the channels of `MONTAGES`; return their folder."""
    rng = np.random.default_rng(0)
    for number in range(recordings):
        header = SignalsHeader(f"night_{number}", "grouped", "published", 60 * minutes, None, (), simulated=True)
        montage = zip(Modality, _KINDS, MONTAGES[number % len(MONTAGES)], strict=True)
        channels = [(modality, kind, f"{modality}{k + 1}") for modality, kind, count in montage for k in range(count)]
        with create_signals(folder / f"night_{number}.hdf5", header) as writer:
            for index, (modality, kind, label) in enumerate(channels):
                z = rng.standard_normal(int(60 * minutes * MODEL_RATE_HZ), np.float32).astype(np.float16)
                writer.add(SignalToStore(label, index, label, modality, kind, 128.0, "µV", mean=0.0, std=1.0, flat=False, z=z))
            writer.set_source(f"{number:064x}")
    return folder


def benchmark_throughput(
    signals: Path, *, windows: int = 8, repeats: int = 5, parameters: Mapping[str, int | float] = PUBLISHED_SIZE
) -> ThroughputBenchmark:
    """Time both loops in turns.

    Parameters
    ----------
    signals
        A folder of signals files; recordings that lack a modality are left out, as the published loop does.
    windows
        Of a batch.
    repeats
        Turns of each loop.
    parameters
        Of the encoder.

    Raises
    ------
    RequestError
        There are too few windows.
    """
    store = open_store([signals], EncoderSettings().coding(), least_samples=WINDOW_SAMPLES)
    store = Store(tuple(one for one in store.recordings if len(one.channels) == len(Modality)), (), store.reader)
    loader = WindowLoader(
        store,
        batch_size=windows,
        window_samples=WINDOW_SAMPLES,
        seed=0,
        augmentation=AugmentationSettings(random_offset=False),
    )
    if loader.steps(0) <= STEPS_A_TURN:
        raise RequestError(f"{signals}: {len(loader.plan(0))} windows are too few for {STEPS_A_TURN + 1} batches of {windows}")
    found = ThroughputBenchmark(windows)
    plain, ours = _PlainLoop(store, loader, windows, parameters), _OurLoop(loader, parameters)
    for turn in range(repeats):
        _train(plain, turn, found.plain)
        with freed_memory_kept():
            _train(ours, turn, found.ours)
            with torch.autocast("cpu", torch.bfloat16):
                _train(ours, turn, found.ours_bf16)
        _read(plain, turn, found.plain)
        _read(ours, turn, found.ours)
    store.reader.close()
    return found


class _Loop(Protocol):
    """One loop in its parts: an epoch's first batches, ready for the network, and a step with one."""

    def batches(self, epoch: int, count: int) -> Iterator[Any]: ...

    def step(self, batch: Any) -> None: ...


def _train(loop: _Loop, epoch: int, taken: Loop) -> None:
    batches = loop.batches(epoch, STEPS_A_TURN + 1 + _AHEAD)
    loop.step(next(batches))
    for _ in range(STEPS_A_TURN):
        started = time.perf_counter()
        batch = next(batches)
        taken.waited_s.append(time.perf_counter() - started)
        loop.step(batch)
        taken.step_s.append(time.perf_counter() - started)


def _read(loop: _Loop, epoch: int, taken: Loop) -> None:
    batches = loop.batches(epoch, BATCHES_A_TURN + 1)
    next(batches)
    started = time.perf_counter()
    read = sum(1 for _ in batches)
    taken.batch_s.append((time.perf_counter() - started) / read)


class _OurLoop:
    def __init__(self, loader: WindowLoader, parameters: Mapping[str, int | float]) -> None:
        torch.manual_seed(0)
        encoder = shared_statistics(Encoder(**parameters))  # type: ignore[arg-type]
        self._learner = ContrastiveLearner(encoder, ObjectiveSettings(), torch.device("cpu"))
        self._learner.network.train()
        self._optimiser = _optimiser(self._learner.network)
        self._loader = loader

    def batches(self, epoch: int, count: int) -> Iterator[WindowBatch]:
        for batch in islice(self._loader.batches(epoch), count):
            yield replace(batch, x_rt=batch.x_rt.float())

    def step(self, batch: WindowBatch) -> None:
        self._optimiser.zero_grad()
        self._learner.loss([self._learner.outputs(batch)], [batch]).value.backward()
        self._optimiser.step()


class _PlainLoop:
    def __init__(self, store: Store, loader: WindowLoader, windows: int, parameters: Mapping[str, int | float]) -> None:
        torch.manual_seed(0)
        self._learner = PlainLearner(parameters).train()
        self._optimiser = _optimiser(self._learner)
        self._loader, self._windows = loader, windows
        self._places: list[list[tuple[int, int]]] = []
        # The list is filled anew for each turn; only this process looks at it, the reader gets places one by one.
        self._read = DataLoader(
            PlainWindows(store.recordings, WINDOW_SAMPLES),
            batch_sampler=self._places,
            collate_fn=padded,
            num_workers=1,
            persistent_workers=True,
            multiprocessing_context="spawn",
        )

    def batches(self, epoch: int, count: int) -> Iterator[PaddedBatch]:
        plan = [(int(number), int(start)) for number, start in self._loader.plan(epoch)]
        size = self._windows
        self._places[:] = [plan[k * size : (k + 1) * size] for k in range(min(count, self._loader.steps(epoch)))]
        return iter(self._read)

    def step(self, batch: PaddedBatch) -> None:
        self._optimiser.zero_grad()
        self._learner(batch).backward()
        self._optimiser.step()


def _optimiser(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)
