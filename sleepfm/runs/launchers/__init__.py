"""Where a job's process runs: on this machine, or on a cluster. The dispatcher knows only what stands here.

A launcher starts what `python -m sleepfm.runs.worker HOME JOB` does, tells how it stands, and ends it. It never changes the
job table: rows belong to the dispatcher and, on this machine, to the worker itself. Workers on other machines do not open the
database either (SQLite's write-ahead log must not be used over a network file system); what they report comes back in the
`LaunchState`, and the dispatcher writes it into the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.runs.table import Job, JobState

LAUNCHERS = ("local", "slurm")


@dataclass(frozen=True)
class Handle:
    """What finds a started job again, after a restart as well; it is kept in the job's row.

    Attributes
    ----------
    pid, pid_started
        The process on this machine and when it started (seconds since the epoch).
    external
        The cluster's id of the job.
    """

    pid: int | None = None
    pid_started: float | None = None
    external: str | None = None


@dataclass(frozen=True)
class LaunchState:
    """How a started job stands.

    Attributes
    ----------
    alive
        Whether it still waits or works. When it is not and the row is open, `end`, or else "crashed" with `words`, closes it.
    fraction, message
        Progress to be written into the row, where the worker cannot do so itself.
    end, result, error
        How it ended, where the worker could not write that into the row itself.
    words
        What is known about a process that ended by itself (its exit code, the cluster's reason).
    """

    alive: bool
    fraction: float | None = None
    message: str = ""
    end: JobState | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    words: str = ""


class Launcher(Protocol):
    """One way to run a job. Every method but `start` returns at once; `poll` may be called many times a second."""

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        """Start a job that was claimed; `gpus` are the devices of this machine that it may use.

        Raises
        ------
        SleepFMError
            When it cannot be started, in one line: the row ends as failed with it.
        """
        ...

    def find(self, job: Job) -> Handle | None:
        """Look for a running job whose handle was not stored (killed between `start` and the row); None when it never started."""
        ...

    def poll(self, job: Job) -> LaunchState:
        """Tell how a started job stands, by the handle in its row."""
        ...

    def stop(self, job: Job) -> None:
        """Ask it to end by itself (SIGTERM): a training run writes its checkpoint first. Asking again does no harm.

        One without a handle may be on its way to a cluster: it does nothing when it gets there.
        """
        ...

    def kill(self, job: Job) -> bool:
        """End it and everything it started; return whether it is gone. If not yet, `poll` will tell when it is.

        One that is gone already is no error, and asking again does no harm.
        """
        ...


@cache
def launcher_of(name: str, home: Home) -> Launcher:
    """Return the launcher of a job's row, for the jobs of a home folder; the same one each time.

    Raises
    ------
    RequestError
        When this version knows no such launcher.
    """
    if name == "local":
        from sleepfm.runs.launchers.local import LocalLauncher  # noqa: PLC0415 - only what is used is loaded

        return LocalLauncher(home)
    if name == "slurm":
        from sleepfm.runs.launchers.slurm import SlurmLauncher  # noqa: PLC0415

        return SlurmLauncher(home)
    raise RequestError(f"this version knows no launcher {name!r}; known: {', '.join(LAUNCHERS)}")
