"""Nights as the heads see them: embeddings by modality, and batches of stretches of them with what is known of each.

Everything that chance decides about a stretch (when it comes, where it starts, which modality is hidden) follows from the seed,
the epoch and its place in the epoch alone, as with windows (`sleepfm.training.window_loader`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.inference.embedding_files import EmbeddingOrigin, read_embeddings
from sleepfm.signals.hdf5 import open_hdf5
from sleepfm.vocabulary import EPOCH_S, TOKEN_S, TOKENS_PER_EPOCH, Modality

_SLACK_S = 1e-6
_MODALITIES = tuple(Modality)


@dataclass(frozen=True, eq=False)
class Night:
    """The 5-s embeddings of one recording.

    Attributes
    ----------
    study, subject
        Ids.
    path
        The embedding file.
    modalities
        What is there, in the vocabulary's order.
    tokens, embed_dim
        Of each modality.
    rows_mse
        (modality that is there, token, E) float16; None when they are read from the file each time.
    origin
        Where the embeddings came from.
    """

    study: str
    subject: str
    path: Path
    modalities: tuple[Modality, ...]
    tokens: int
    embed_dim: int
    rows_mse: np.ndarray | None
    origin: EmbeddingOrigin

    @property
    def epochs(self) -> int:
        """Number of whole 30-s epochs that were recorded."""
        return int((self.origin.duration_s + _SLACK_S) // EPOCH_S)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the tokens from `start` to `stop`, (modality that is there, token, E) float16."""
        if self.rows_mse is not None:
            return self.rows_mse[:, start:stop]
        try:
            with open_hdf5(self.path) as file:
                return np.stack([file[modality.value][start:stop] for modality in self.modalities]).astype(np.float16)
        except (OSError, KeyError, ValueError) as error:
            raise RecordingError(f"{self.path}: cannot be read any more ({error}); embed again") from None

    def known_epochs(self) -> np.ndarray:
        """Return which whole epochs no gap touches, (epoch,) bool."""
        known_e = np.ones(self.epochs, bool)
        for start_s, stop_s in self.origin.gaps:
            first = max(0, int((start_s + _SLACK_S) // EPOCH_S))
            known_e[first : max(first, math.ceil((stop_s - _SLACK_S) / EPOCH_S))] = False
        return known_e


def open_nights(
    files: Mapping[str, Path], subject_of: Mapping[str, str], *, memory_bytes: float
) -> tuple[dict[str, Night], dict[str, str]]:
    """Open embedding files of one encoder.

    Parameters
    ----------
    files
        The 5-s embeddings of each study.
    subject_of
        Subject of each study; a study that is not in it is its own subject.
    memory_bytes
        Nights are kept in memory, in half precision, until so much is used.

    Returns
    -------
    nights, left_out
        By study; and why a study's file cannot be used.
    """
    nights: dict[str, Night] = {}
    left_out: dict[str, str] = {}
    used = 0
    for study, path in files.items():
        try:
            embeddings = read_embeddings(path)
            if embeddings.row_s != TOKEN_S or embeddings.origin.start_offset_s:
                raise RecordingError(f"{path}: holds no embeddings per {TOKEN_S:g} s from the recording's start; embed again")
            with np.errstate(over="ignore"):  # looked for below
                rows_mse = np.stack(list(embeddings.rows.values())).astype(np.float16)
            if not np.isfinite(rows_mse).all():
                raise RecordingError(f"{path}: holds values that half precision cannot; check the encoder and embed again")
        except SleepFMError as error:
            left_out[study] = str(error)
            continue
        keep = used + rows_mse.nbytes <= memory_bytes
        used += rows_mse.nbytes if keep else 0
        nights[study] = Night(
            study=study,
            subject=subject_of.get(study, study),
            path=path,
            modalities=tuple(embeddings.rows),
            tokens=rows_mse.shape[1],
            embed_dim=rows_mse.shape[2],
            rows_mse=rows_mse if keep else None,
            origin=embeddings.origin,
        )
    return nights, left_out


@dataclass(frozen=True, eq=False)
class LabelledNight:
    """A night and what is known of it.

    Attributes
    ----------
    by_epoch
        (epoch,) integers each, by name; -1 where unknown.
    by_night
        Arrays of the same shape in every night, by name.
    """

    night: Night
    by_epoch: Mapping[str, np.ndarray] = field(default_factory=dict)
    by_night: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """Tokens `start` to `stop` of a night, seen through some of its modalities."""

    number: int
    start: int
    stop: int
    modalities: tuple[Modality, ...]


@dataclass(frozen=True, eq=False)
class NightBatch:
    """Stretches of nights, padded to the longest and to whole epochs when they are read.

    Attributes
    ----------
    by_epoch
        (stretch, epoch) int64, by name; -1 where unknown or padded.
    by_night
        (stretch, …), by name.
    """

    nights: Sequence[LabelledNight]
    stretches: tuple[Stretch, ...]
    by_epoch: dict[str, Tensor]
    by_night: dict[str, Tensor]

    @property
    def size(self) -> int:
        """Number of stretches."""
        return len(self.stretches)

    def embeddings(self, first: int = 0, last: int | None = None) -> tuple[Tensor, Tensor]:
        """Read the stretches `first` to `last`.

        Returns
        -------
        z_bmse, padding_mask_bms
            (stretch, modality, token, E) float32 with zeros where nothing is; (stretch, modality, token) bool, True there.
        """
        chosen = self.stretches[first:last]
        tokens = self._tokens()
        embed_dim = self.nights[0].night.embed_dim
        z_bmse = torch.zeros((len(chosen), len(_MODALITIES), tokens, embed_dim))
        padding_bms = torch.ones((len(chosen), len(_MODALITIES), tokens), dtype=torch.bool)
        for b, stretch in enumerate(chosen):
            night = self.nights[stretch.number].night
            rows_mse = night.read(stretch.start, stretch.stop)
            for place, modality in enumerate(night.modalities):
                if modality in stretch.modalities:
                    m = _MODALITIES.index(modality)
                    z_bmse[b, m, : rows_mse.shape[1]] = torch.from_numpy(rows_mse[place])
                    padding_bms[b, m, : rows_mse.shape[1]] = False
        return z_bmse, padding_bms

    def _tokens(self) -> int:
        longest = max(stretch.stop - stretch.start for stretch in self.stretches)
        return -(-longest // TOKENS_PER_EPOCH) * TOKENS_PER_EPOCH

    def describe(self) -> str:
        """Return whose nights these are."""
        return "nights " + ", ".join(dict.fromkeys(self.nights[stretch.number].night.study for stretch in self.stretches))


def make_batch(nights: Sequence[LabelledNight], stretches: Sequence[Stretch]) -> NightBatch:
    """Put stretches side by side."""
    epochs = max(-(-(stretch.stop - stretch.start) // TOKENS_PER_EPOCH) for stretch in stretches)
    by_epoch, by_night = {}, {}
    for name in nights[0].by_epoch:
        labels_be = np.full((len(stretches), epochs), -1, np.int64)
        for b, stretch in enumerate(stretches):
            first = stretch.start // TOKENS_PER_EPOCH
            found_e = nights[stretch.number].by_epoch[name][first : -(-stretch.stop // TOKENS_PER_EPOCH)]
            labels_be[b, : len(found_e)] = found_e
        by_epoch[name] = torch.from_numpy(labels_be)
    for name in nights[0].by_night:
        by_night[name] = torch.from_numpy(np.stack([nights[stretch.number].by_night[name] for stretch in stretches]))
    return NightBatch(nights, tuple(stretches), by_epoch, by_night)


class NightLoader:
    """Gives the batches of an epoch.

    Parameters
    ----------
    nights
        Of one split.
    batch_size
        Stretches over all processes together.
    crop_tokens
        Length of a stretch in tokens (whole epochs); None for whole nights.
    longest
        The head takes no more tokens at once.
    one_each
        One stretch of each night an epoch (of a night longer than `longest`, from its start on); else the whole night in
        stretches.
    shuffle
        Training: a new order and new places each epoch. Else always the same, one stretch behind the other, the rest of each
        night too.
    modality_dropout
        Chance that a modality is hidden; one always stays.
    rank, world
        This process and how many there are; each has its part of every batch.
    """

    def __init__(
        self,
        nights: Sequence[LabelledNight],
        *,
        batch_size: int,
        seed: int,
        crop_tokens: int | None = None,
        longest: int | None = None,
        one_each: bool = False,
        shuffle: bool = True,
        modality_dropout: float = 0.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not nights:
            raise RequestError("there is no night to learn from")
        self._nights = nights
        self._batch_size = batch_size
        self._seed = seed
        self._longest = math.inf if longest is None else longest // TOKENS_PER_EPOCH * TOKENS_PER_EPOCH
        self._crop = min(crop_tokens or math.inf, self._longest)
        self._one_each = one_each
        self._shuffle = shuffle
        self._dropout = modality_dropout
        self._rank, self._world = rank, world

    def plan(self, epoch: int) -> np.ndarray:
        """Return the epoch's stretches in order, (stretch, 3) int64: number of the night, first token, token behind the last."""
        found = [
            (number, start, stop)
            for number, labelled in enumerate(self._nights)
            for start, stop in self._cut(labelled.night.tokens, number, epoch)
        ]
        plan_c3 = np.array(found, np.int64).reshape(-1, 3)
        if not self._shuffle:
            return plan_c3
        return plan_c3[np.random.default_rng([self._seed, epoch]).permutation(len(plan_c3))]

    def _cut(self, tokens: int, number: int, epoch: int) -> list[tuple[int, int]]:
        if self._one_each:
            tokens = int(min(tokens, self._longest))
        if tokens <= self._crop:
            return [(0, tokens)]
        crop = int(self._crop)
        if not self._shuffle:
            return [(start, min(start + crop, tokens)) for start in range(0, tokens, crop)][: 1 if self._one_each else None]
        spare = tokens - crop if self._one_each else min(tokens - crop, crop - 1)
        chance = np.random.default_rng([self._seed, epoch, number, 1])
        first = int(chance.integers(spare // TOKENS_PER_EPOCH + 1)) * TOKENS_PER_EPOCH
        last = first if self._one_each else tokens - crop
        return [(start, start + crop) for start in range(first, last + 1, crop)]

    def steps(self, epoch: int) -> int:
        """Return how many whole batches an epoch has; where there are fewer stretches than one batch takes, one smaller one."""
        return max(1, len(self.plan(epoch)) // self._batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[NightBatch]:
        """Give the batches of an epoch from number `start` on; without `shuffle` the last one takes the rest too."""
        plan_c3 = self.plan(epoch)
        steps = self.steps(epoch)
        for number in range(start, steps):
            first = number * self._batch_size
            rest = not self._shuffle and number == steps - 1
            whole = range(first, len(plan_c3) if rest else min(first + self._batch_size, len(plan_c3)))
            if len(whole) < self._world:
                raise RequestError(f"{len(whole)} nights cannot be shared by {self._world} processes: use fewer --devices")
            mine = whole[len(whole) * self._rank // self._world : len(whole) * (self._rank + 1) // self._world]
            yield make_batch(self._nights, [self._stretch(plan_c3[place], epoch, place) for place in mine])

    def _stretch(self, plan_3: np.ndarray, epoch: int, place: int) -> Stretch:
        number, start, stop = (int(value) for value in plan_3)
        there = self._nights[number].night.modalities
        if self._dropout:
            rng = np.random.default_rng([self._seed, epoch, place, 2])
            kept = tuple(modality for modality in there if rng.random() >= self._dropout)
            there = kept or (there[int(rng.integers(len(there)))],)
        return Stretch(number, start, stop, there)
