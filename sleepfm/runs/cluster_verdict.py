"""What became of a Slurm job: the cluster's word and what its processes said, made into one answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepfm.runs.cluster_exchange import Advance, Exchange, Outcome
from sleepfm.runs.cluster_watch import Standing
from sleepfm.runs.launchers import LaunchState
from sleepfm.runs.table import Job, JobState
from sleepfm.text import printable

_TAIL_BYTES = 2_000
_MOST_NAMED = 3
_STOPPED = "stopped by the user"
_LATE_WORD = frozenset({"COMPLETED", "FAILED", "UNKNOWN"})
"""Ends before which a process may have said how it went; its file may take a while to come over a network file system."""


@dataclass(frozen=True)
class _End:
    state: JobState
    result: dict[str, Any] | None
    error: str | None


def elements_of(job: Job) -> tuple[str, ...]:
    """Return what Slurm calls the parts of a job: their numbers in an array, "" for a job that is none."""
    parts = int(job.parameters.get("parts", 0))
    return tuple(str(number) for number in range(parts)) if parts > 1 else ("",)


def verdict(job: Job, standing: Mapping[str, Standing], exchange: Exchange, *, patience_s: float) -> LaunchState:
    """Return how a job stands.

    Parameters
    ----------
    standing
        Of each of `elements_of(job)`.
    patience_s
        How long a job that ended may stay silent until nothing more is expected from it.
    """
    outcomes = exchange.outcomes()
    ends: list[_End | None] = []
    for number, element in enumerate(elements_of(job)):
        one = standing[element]
        said = outcomes.get(number) if len(standing) > 1 else _spoken_for_all(outcomes)
        if one.open:
            ends.append(None)
        elif said is not None:
            ends.append(_end_of(said, stop_asked=exchange.stop_asked()))
        elif one.state in _LATE_WORD and time.monotonic() - one.since < patience_s:
            ends.append(None)
        else:
            ends.append(_end_of_silent(job, one, element, exchange))
    settled = [end for end in ends if end is not None]
    if len(settled) < len(ends):
        return _alive(list(standing.values()), len(settled), exchange.advances())
    return _ended(settled)


def _end_of(said: Outcome, *, stop_asked: bool) -> _End:
    if not stop_asked or said.state is JobState.FINISHED:
        return _End(said.state, said.result, said.error)
    # what breaks while the processes of a run are ended is the stop's doing
    return _End(JobState.STOPPED, said.result, _STOPPED if said.state is JobState.STOPPED else f"{_STOPPED} ({said.error})")


def _spoken_for_all(outcomes: Mapping[int, Outcome]) -> Outcome | None:
    """Return what a run's processes said together: the leader's word, unless another failed before it did."""
    lead = outcomes.get(0)
    if lead is not None and lead.state is not JobState.FAILED:
        return lead
    return min(outcomes.values(), key=lambda one: one.time, default=None)


def _alive(standing: list[Standing], done: int, advances: Mapping[int, Advance]) -> LaunchState:
    n = len(standing)
    waiting = [one for one in standing if one.waits]
    said = advances.get(0)
    if n == 1 and waiting:
        return LaunchState(alive=True, fraction=0.0, message=_waits(waiting[0]))
    if n == 1:
        return LaunchState(
            alive=True,
            fraction=0.0 if said is None else said.fraction,
            message="starting on the cluster" if said is None else said.message,
        )
    # a part that ended counts whole, however far it had said to be
    under_way = sum(advances[k].fraction for k, one in enumerate(standing) if one.open and not one.waits and k in advances)
    words = f"{done} of {n} parts done, {n - done - len(waiting)} running"
    words += f", {len(waiting)} waiting{_because(waiting[0])}" if waiting else ""
    return LaunchState(alive=True, fraction=min(1.0, (done + under_way) / n), message=words)


def _waits(one: Standing) -> str:
    return f"waits in the cluster's queue{_because(one)}"


def _because(one: Standing) -> str:
    return f" ({printable(one.reason)})" if one.reason else ""


def _ended(ends: list[_End]) -> LaunchState:
    if len(ends) == 1:
        return LaunchState(alive=False, end=ends[0].state, result=ends[0].result, error=ends[0].error)
    result = _joined([end.result for end in ends if end.result is not None])
    missing = [(number, end) for number, end in enumerate(ends) if end.state is not JobState.FINISHED]
    if not missing:
        return LaunchState(alive=False, end=JobState.FINISHED, result=result)
    states = Counter(end.state for _, end in missing)
    # a stop reaches many parts in many ways, and all of them are the user's wish
    worst = next(state for state in (JobState.STOPPED, JobState.FAILED, JobState.CRASHED) if states[state])
    named = "; ".join(f"part {number}: {end.error}" for number, end in missing[:_MOST_NAMED])
    more = f"; and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    error = f"{len(missing)} of {len(ends)} parts did not finish ({named}{more}); resuming does what is missing"
    return LaunchState(alive=False, end=worst, result=result, error=error)


def _joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the results of an array's parts: lists one behind the other; what is no list is the first part's."""
    joined: dict[str, Any] = {}
    for result in results:
        for name, value in result.items():
            if isinstance(value, list):
                joined[name] = [*joined.get(name, []), *value]
            else:
                joined.setdefault(name, value)
    return joined


def _end_of_silent(job: Job, one: Standing, element: str, exchange: Exchange) -> _End:
    """Say what became of a job, or a part, that did not say so itself."""
    where = f" on {printable(one.reason)}" if one.reason else ""
    known = {
        "CANCELLED": (JobState.STOPPED, _STOPPED if exchange.stop_asked() else "cancelled on the cluster"),
        "TIMEOUT": (
            JobState.CRASHED,
            "the cluster's time limit was reached before a checkpoint was written; resuming goes on from the one before",
        ),
        "OUT_OF_MEMORY": (JobState.FAILED, f"out of memory{where}; ask for more in the settings of the cluster"),
        "NODE_FAIL": (JobState.CRASHED, f"the node failed{where}; resuming goes on from the last checkpoint"),
        "PREEMPTED": (JobState.CRASHED, f"the cluster gave the node{where} to another job; resuming goes on"),
    }
    if one.state in known:
        state, words = known[one.state]
        return _End(state, None, words)
    log = exchange.folder / f"{job.external}{'_' if element else ''}{element}_0_log.out"
    if not log.exists():
        words = (
            f"its process{where} wrote nothing into {exchange.folder}: the home folder (SLEEPFM_HOME) must be on storage that the"
            " nodes share, at the same path"
        )
        return _End(JobState.FAILED, None, words)
    how = f"ended{where} as {one.state} with code {one.exit_code}" if one.exit_code else f"ended{where} without a word"
    return _End(JobState.CRASHED, None, f"its process {how}; last words: {_last_words(log) or 'none'}")


def _last_words(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith("srun:")]
    return printable(" ".join(said[-2:]))
