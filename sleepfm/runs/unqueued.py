"""Training runs that were started on the command line, outside the queue: they have a folder and no row."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sleepfm.home import Home
from sleepfm.runs.processes import identity
from sleepfm.runs.run_files import state_in
from sleepfm.runs.table import JobState

_CONFIG_FILE = "config.yaml"
_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class UnqueuedRun:
    """What the folder of such a run says.

    Attributes
    ----------
    name
        Of its folder in the home's `runs`.
    state
        RUNNING while the process that wrote it lives; CRASHED when that is gone without having said how it ended.
    progress
        0 to 1.
    pid
        Of the process, while it lives.
    told_at
        When the run last said something.
    """

    name: str
    state: JobState
    progress: float
    message: str
    pid: int | None
    told_at: datetime | None


def unqueued_runs(home: Home, queued: Collection[str]) -> tuple[UnqueuedRun, ...]:
    """Return the runs of a home whose folder is no queued one's, the one that spoke last first.

    Those whose folder lies elsewhere (`--out`) are not known.

    Parameters
    ----------
    queued
        The ids of the job table.
    """
    found = []
    for folder in home.runs.iterdir():
        if folder.name in queued or not (folder / _CONFIG_FILE).is_file():
            continue
        said = state_in(folder)
        if said is None or said.state is None:
            continue  # changed by hand: it tells nothing
        alive = said.state == "running" and _is_it(said.pid, said.time)
        state = JobState(said.state) if alive or said.state != "running" else JobState.CRASHED
        told_at = None if said.time is None else datetime.fromtimestamp(said.time, UTC)
        found.append(
            UnqueuedRun(folder.name, state, said.fraction or 0.0, said.message or "", said.pid if alive else None, told_at)
        )
    return tuple(sorted(found, key=lambda run: (run.told_at or datetime.min.replace(tzinfo=UTC), run.name), reverse=True))


def _is_it(pid: int | None, said_at: float | None) -> bool:
    """Tell whether the process that spoke lives: one that has got its pid since began later."""
    if pid is None or said_at is None:
        return False
    began = identity(pid)
    return began is not None and began <= said_at + _TOLERANCE_S
