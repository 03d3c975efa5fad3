"""From scored stretches of any length to the grid of 30-s epochs that starts at the recording's start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, Stage

MAX_SCORING_S = 60 * 24 * 3600.0
"""A scoring longer than this (60 days) is a wrong number in a file, not a recording."""
_SHORT_EPOCH_S = 20.0
"""Some laboratories score in epochs of 20 s."""
_TOLERANCE_S = 1e-3  # times in files are rounded to milliseconds at best
_UNKNOWN_COLUMN = len(SCORED_STAGES)


@dataclass(frozen=True)
class Stretch:
    """One scored stretch of time as a file gives it; `where` names the place in the file ("line 12")."""

    start_s: float
    stop_s: float
    stage: Stage
    where: str
    probabilities: tuple[float, ...] | None = None


def bouts(scoring: Scoring) -> Iterator[tuple[Stage, float, float]]:
    """Give the runs of one stage: stage, start and length in seconds."""
    edges = np.flatnonzero(np.diff(scoring.stages)) + 1
    for first, behind in itertools.pairwise([0, *edges.tolist(), len(scoring.stages)]):
        if behind > first:
            yield Stage(int(scoring.stages[first])), first * scoring.epoch_s, (behind - first) * scoring.epoch_s


def row_length_s(rows: int, duration_s: float | None, said: list[str]) -> float:
    """Return how long each row of a file with one row an epoch is: 30 s, or 20 s when only that fits the recording."""
    if duration_s is not None:
        fits_s = [length_s for length_s in (EPOCH_S, _SHORT_EPOCH_S) if abs(rows * length_s - duration_s) < 2 * length_s]
        if fits_s == [_SHORT_EPOCH_S]:
            said.append(f"{rows} rows fill the recording's {duration_s:g} s as epochs of {_SHORT_EPOCH_S:g} s: read as such")
            return _SHORT_EPOCH_S
    return EPOCH_S


def moved(stretches: tuple[Stretch, ...], shift_s: float, said: list[str]) -> list[Stretch]:
    """Move stretches in time; what then lies before the recording is cut off, and said."""
    if not shift_s:
        return list(stretches)
    later = [replace(one, start_s=one.start_s + shift_s, stop_s=one.stop_s + shift_s) for one in stretches]
    before_s = sum(min(one.stop_s, 0.0) - one.start_s for one in later if one.start_s < 0)
    if before_s > 0:
        said.append(f"{before_s:g} s of the scoring lie before the recording and were left out")
    return [replace(one, start_s=max(one.start_s, 0.0)) for one in later if one.stop_s > _TOLERANCE_S]


def onto_epochs(stretches: list[Stretch], *, duration_s: float | None, scorer: str, warnings: list[str]) -> Scoring:
    """Put stretches on the 30-s grid.

    An epoch gets the stage that fills most of its time. Time that nobody scored counts as Unknown, and a tie is Unknown.
    Probabilities are averaged by time, and are NaN where the epoch is Unknown.

    Parameters
    ----------
    stretches
        In any order; the same stretch twice counts once.
    duration_s
        Length of the recording in seconds; None when it is not known, then the scoring's own end counts.
    scorer
        Kept in the scoring.
    warnings
        What the reader has to say already; what happens here is added behind it.

    Returns
    -------
    Scoring
        One stage a *whole* epoch.

    Raises
    ------
    ScoringError
        A stretch without length, before the start, absurdly late, or two stretches that score the same time differently.
    """
    said = list(warnings)
    if duration_s is not None and not (math.isfinite(duration_s) and 0 <= duration_s <= MAX_SCORING_S):
        raise ScoringError(f"a recording of {duration_s} s cannot carry a scoring")
    ordered = _without_overlaps(stretches, said)
    end_s = ordered[-1].stop_s if ordered else 0.0
    length_s = end_s if duration_s is None else duration_s
    ordered = _clipped(ordered, length_s, said)
    said += _holes(ordered, length_s)
    n_epochs = int((length_s + _TOLERANCE_S) // EPOCH_S)
    rest_s = length_s - n_epochs * EPOCH_S
    if duration_s is None and rest_s > _TOLERANCE_S:
        said.append(f"the last {rest_s:g} s are shorter than an epoch of {EPOCH_S:g} s and left out")

    seconds, p_seconds, p_sums = _seconds_by_stage(ordered, n_epochs)
    best = seconds.max(axis=1, keepdims=True)
    winners = seconds >= best - _TOLERANCE_S
    numbers = np.array([*SCORED_STAGES, Stage.UNKNOWN], dtype=np.int8)
    tied = winners.sum(axis=1) > 1
    stages = np.where(tied, np.int8(Stage.UNKNOWN), numbers[winners.argmax(axis=1)]).astype(np.int8)

    mixed = int((best[:, 0] < EPOCH_S - 10 * _TOLERANCE_S).sum())
    if mixed:
        said.append(
            f"{mixed} of {n_epochs} epochs of {EPOCH_S:g} s hold more than one stage: each got the stage of most of its time, "
            f"{int(tied.sum())} with a tie are Unknown"
        )
    probabilities = None
    if any(stretch.probabilities is not None for stretch in stretches):
        with np.errstate(invalid="ignore"):
            probabilities = (p_sums / p_seconds[:, None]).astype(np.float32)
        probabilities[stages == Stage.UNKNOWN] = np.nan
    return Scoring(stages=stages, probabilities=probabilities, scorer=scorer, warnings=tuple(said))


def _without_overlaps(stretches: list[Stretch], said: list[str]) -> list[Stretch]:
    """Sort by time, count a stretch that is there twice once, and refuse contradictions."""
    for stretch in stretches:
        if not (math.isfinite(stretch.start_s) and math.isfinite(stretch.stop_s)) or stretch.stop_s > MAX_SCORING_S:
            raise ScoringError(f"{stretch.where}: {stretch.start_s:g} to {stretch.stop_s:g} s is not a time within a recording")
        if stretch.start_s < 0:
            raise ScoringError(f"{stretch.where}: starts {-stretch.start_s:g} s before the recording")
        if stretch.stop_s <= stretch.start_s:
            raise ScoringError(f"{stretch.where}: stops at {stretch.stop_s:g} s, not after its start at {stretch.start_s:g} s")
    kept: list[Stretch] = []
    repeats = 0
    for stretch in sorted(stretches, key=lambda s: (s.start_s, s.stop_s)):
        last = kept[-1] if kept else None
        if last is None or stretch.start_s >= last.stop_s - _TOLERANCE_S:
            kept.append(stretch)
        elif (stretch.start_s, stretch.stop_s, stretch.stage) == (last.start_s, last.stop_s, last.stage):
            repeats += 1
        else:
            raise ScoringError(
                f"{stretch.where}: {stretch.start_s:g} to {stretch.stop_s:g} s overlaps {last.where} "
                f"({last.start_s:g} to {last.stop_s:g} s): remove one of the two"
            )
    if repeats:
        said.append(f"{repeats} repeated row(s) were counted once")
    return kept


def _clipped(ordered: list[Stretch], length_s: float, said: list[str]) -> list[Stretch]:
    """Cut at the recording's end what runs past it, and say how much."""
    over_s = (ordered[-1].stop_s - length_s) if ordered else 0.0
    if over_s <= _TOLERANCE_S:
        return ordered
    said.append(f"the scoring runs {over_s:g} s past the end of the recording ({length_s:g} s) and was clipped there")
    return [
        Stretch(s.start_s, min(s.stop_s, length_s), s.stage, s.where, s.probabilities) for s in ordered if s.start_s < length_s
    ]


def _holes(ordered: list[Stretch], length_s: float) -> list[str]:
    """Say where nobody scored: within the scoring, before it and behind it."""
    if not ordered:
        return []
    said = []
    inside = [(a, b) for a, b in itertools.pairwise(ordered) if b.start_s - a.stop_s > _TOLERANCE_S]
    if inside:
        first, following = inside[0]
        missing_s = sum(b.start_s - a.stop_s for a, b in inside)
        said.append(
            f"{missing_s:g} s in {len(inside)} hole(s) of the scoring are Unknown (first: {first.stop_s:g} to "
            f"{following.start_s:g} s, between {first.where} and {following.where})"
        )
    if ordered[0].start_s > _TOLERANCE_S:
        said.append(f"the scoring begins at {ordered[0].start_s:g} s ({ordered[0].where}): Unknown before")
    if length_s - ordered[-1].stop_s >= EPOCH_S - _TOLERANCE_S:
        said.append(f"the scoring ends at {ordered[-1].stop_s:g} s ({ordered[-1].where}): Unknown until {length_s:g} s")
    return said


def _seconds_by_stage(ordered: list[Stretch], n_epochs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds by epoch and stage (n_epochs, 6; the last column is Unknown), and time-weighted sums of probabilities.

    The sums come as (n_epochs,) seconds that have probabilities and (n_epochs, 5) probability-seconds.
    """
    column = {stage: i for i, stage in enumerate(SCORED_STAGES)} | {Stage.UNKNOWN: _UNKNOWN_COLUMN}
    seconds = np.zeros((n_epochs, _UNKNOWN_COLUMN + 1))
    p_seconds = np.zeros(n_epochs)
    p_sums = np.zeros((n_epochs, len(SCORED_STAGES)))
    for stretch in ordered:
        first = int(stretch.start_s // EPOCH_S)
        last = min(math.ceil(stretch.stop_s / EPOCH_S), n_epochs)
        if first >= last:
            continue
        starts = np.arange(first, last) * EPOCH_S
        inside = np.minimum(stretch.stop_s, starts + EPOCH_S) - np.maximum(stretch.start_s, starts)
        seconds[first:last, column[stretch.stage]] += inside
        if stretch.probabilities is not None:
            p_seconds[first:last] += inside
            p_sums[first:last] += inside[:, None] * np.asarray(stretch.probabilities)
    seconds[:, _UNKNOWN_COLUMN] += EPOCH_S - seconds.sum(axis=1)  # what nobody scored
    return seconds, p_seconds, p_sums
