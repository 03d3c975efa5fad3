"""Batches of windows for pretraining: the same for any number of processes and threads, and after any interruption.

Everything that chance decides about a window (when it comes, where it starts, which of its channels are hidden) follows from the
seed, the epoch and the window's place in the epoch alone. A batch holds only channels that are there: nothing is padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sleepfm.errors import RecordingError, SleepFMError
from sleepfm.training.settings import AugmentationSettings
from sleepfm.training.windows import ChannelPlace, Store, TrainingRecording
from sleepfm.vocabulary import TOKEN_SAMPLES, Modality

_AHEAD = 3
_HIDE_NOTHING = AugmentationSettings(random_offset=False)


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """Windows with all the modalities that each has.

    Attributes
    ----------
    x_rt
        (row, time) float16, a row is one channel of one window; sets (the channels of one modality of one window) one after the
        other, all windows of BAS, then all of RESP, and so on.
    counts_mn
        (modality, window) int64, rows of each set; 0 where the modality is absent.
    recording_n, start_n
        (window,) int64: the recording's number in the store, and the first sample.
    """

    x_rt: Tensor
    counts_mn: Tensor
    recording_n: Tensor
    start_n: Tensor

    @property
    def size(self) -> int:
        """Number of windows."""
        return len(self.recording_n)


@dataclass
class Unreadable:
    """What could not be read in the middle of an epoch: the first reason by recording, and how many windows were lost."""

    reasons: dict[str, str] = field(default_factory=dict)
    windows: int = 0


class WindowLoader:
    """Gives the batches of an epoch.

    Parameters
    ----------
    store
        The recordings of one split.
    batch_size
        Windows over all processes together.
    augmentation
        What is hidden; None for validation: every channel, windows one behind the other, always in the same order.
    most_windows
        At most so many windows, evenly from the whole; None for all.
    rank, world
        This process and how many there are; each reads its part of every batch.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch_size: int,
        window_samples: int,
        seed: int,
        augmentation: AugmentationSettings | None,
        most_windows: int | None = None,
        threads: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._recordings = store.recordings
        self._reader = store.reader
        self._batch_size = batch_size
        self._length = window_samples
        self._seed = seed
        self._augmentation = augmentation
        self._most = most_windows
        self._threads = threads
        self._rank, self._world = rank, world
        self.unreadable = Unreadable()

    def plan(self, epoch: int) -> np.ndarray:
        """Return the epoch's windows in order, (window, 2) int64: number of the recording and first sample."""
        found: list[tuple[int, int]] = []
        for number, recording in enumerate(self._recordings):
            found += [(number, start) for start in recording.starts(self._length, self._offset(recording, number, epoch))]
        plan_w2 = np.array(found, np.int64).reshape(-1, 2)
        if self._most is not None and len(plan_w2) > self._most:
            plan_w2 = plan_w2[np.linspace(0, len(plan_w2) - 1, self._most).round().astype(int)]
        if self._augmentation is None:
            # Neighbours of one night side by side would make a batch of the hardest negatives only.
            return plan_w2[np.random.default_rng(self._seed).permutation(len(plan_w2))]
        return plan_w2[np.random.default_rng([self._seed, epoch]).permutation(len(plan_w2))]

    def _offset(self, recording: TrainingRecording, number: int, epoch: int) -> int:
        if self._augmentation is None or not self._augmentation.random_offset:
            return 0
        spare = recording.n_samples - self._length
        tokens = min(spare, self._length - 1) // TOKEN_SAMPLES
        return int(np.random.default_rng([self._seed, epoch, number, 1]).integers(tokens + 1)) * TOKEN_SAMPLES

    def steps(self, epoch: int) -> int:
        """Return how many whole batches an epoch has; where there are fewer windows than one batch takes, one smaller one."""
        return max(1, len(self.plan(epoch)) // self._batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[WindowBatch]:
        """Give the batches of an epoch from number `start` on, read ahead in threads.

        Raises
        ------
        SleepFMError
            When no window of a batch can be read.
        """
        plan_w2 = self.plan(epoch)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="window-reader") as pool:
            waiting: list[Future[WindowBatch]] = []
            try:
                for number in range(start, self.steps(epoch)):
                    waiting.append(pool.submit(self._read, plan_w2, epoch, number))
                    if len(waiting) > _AHEAD:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()

    def _read(self, plan_w2: np.ndarray, epoch: int, number: int) -> WindowBatch:
        first = number * self._batch_size
        whole = range(first, min(first + self._batch_size, len(plan_w2)))
        mine = whole[len(whole) * self._rank // self._world : len(whole) * (self._rank + 1) // self._world]
        items = []
        for place in mine:
            recording, start = (int(value) for value in plan_w2[place])
            if self._recordings[recording].id in self.unreadable.reasons:
                self.unreadable.windows += 1
                continue
            items.append((recording, start, self._channels(self._recordings[recording], epoch, place)))
        return self._fill(items)

    def _channels(self, recording: TrainingRecording, epoch: int, place: int) -> dict[Modality, Sequence[ChannelPlace]]:
        hidden = self._augmentation or _HIDE_NOTHING
        rng = np.random.default_rng([self._seed, epoch, place, 2])
        kept = dict(recording.channels)
        dropped = [modality for modality in kept if rng.random() < hidden.modality_dropout]
        for modality in rng.permutation(np.array(dropped, dtype=object)):
            if len(kept) > 2:
                del kept[modality]
        chosen: dict[Modality, Sequence[ChannelPlace]] = {}
        for modality, places in kept.items():
            some = [k for k in range(len(places)) if rng.random() >= hidden.channel_dropout] or [int(rng.integers(len(places)))]
            most = hidden.most(modality)
            if most is not None and len(some) > most:
                some = [some[i] for i in rng.permutation(len(some))[:most]]
            chosen[modality] = [places[k] for k in sorted(some)]
        return chosen

    def _fill(self, items: list[tuple[int, int, dict[Modality, Sequence[ChannelPlace]]]]) -> WindowBatch:
        """Read all windows of a batch; one that cannot be read is left out, named and counted."""
        while items:
            counts_mn = np.array([[len(chosen.get(m, ())) for _, _, chosen in items] for m in Modality], np.int64)
            x_rt = torch.empty((int(counts_mn.sum()), self._length), dtype=torch.float16)
            failed = self._read_rows(items, counts_mn, x_rt.numpy())
            if failed is None:
                numbers = torch.tensor([[recording, start] for recording, start, _ in items])
                return WindowBatch(x_rt, torch.from_numpy(counts_mn), numbers[:, 0], numbers[:, 1])
            items = [item for item in items if item[0] != failed]
        reason = next(iter(self.unreadable.reasons.values()), "the batch is empty")
        raise SleepFMError(f"no window of a batch can be read: {reason}")

    def _read_rows(
        self, items: list[tuple[int, int, dict[Modality, Sequence[ChannelPlace]]]], counts_mn: np.ndarray, out_rt: np.ndarray
    ) -> int | None:
        first_mn = (np.cumsum(counts_mn) - counts_mn.reshape(-1)).reshape(counts_mn.shape)
        for n, (number, start, chosen) in enumerate(items):
            for m, modality in enumerate(Modality):
                if not counts_mn[m, n]:
                    continue
                rows_ct = out_rt[first_mn[m, n] : first_mn[m, n] + counts_mn[m, n]]
                try:
                    self._reader.read(self._recordings[number], chosen[modality], start, rows_ct)
                except RecordingError as error:
                    self.unreadable.reasons.setdefault(self._recordings[number].id, str(error))
                    self.unreadable.windows += sum(one[0] == number for one in items)
                    return number
        return None
