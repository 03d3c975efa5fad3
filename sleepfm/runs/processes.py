"""Knowing a process again: a pid alone is reused by the system, a pid with its start time is not.

A run may be a family of processes, and not all of one process group: torchrun gives each of its own a session. So every process
of a run carries the run's mark in its environment, which children inherit; by it they are found when their parents are gone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_MARK = "SLEEPFM_RUN"
_TOLERANCE_S = 1.0
_NICER = 10
_AUTOGROUP = Path("/proc/self/autogroup")


@dataclass(frozen=True)
class Mark:
    """What the processes of a run carry: whose they are.

    Attributes
    ----------
    home
        The home folder whose table has the run.
    job, attempt
        The run, and its which attempt.
    """

    home: str
    job: str
    attempt: int

    def environment(self) -> dict[str, str]:
        """Return the variable that carries it."""
        return {_MARK: f"{self.attempt}|{self.job}|{self.home}"}

    def is_on(self, pid: int | None) -> bool:
        """Tell whether a living process carries it."""
        if pid is None or identity(pid) is None:
            return False
        try:
            return mark_in(psutil.Process(pid).environ()) == self
        except (psutil.Error, OSError):
            return False


def mark_in(environment: dict[str, str]) -> Mark | None:
    """Return the mark in an environment, None when there is none."""
    attempt, _, rest = environment.get(_MARK, "").partition("|")
    job, _, home = rest.partition("|")
    return Mark(home, job, int(attempt)) if attempt.isdecimal() and job and home else None


def identity(pid: int) -> float | None:
    """Return the start time of a living process (seconds since the epoch), None when there is none."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def is_alive(pid: int | None, started: float | None) -> bool:
    """Tell whether this very process still runs."""
    if pid is None or started is None:
        return False
    now = identity(pid)
    return now is not None and abs(now - started) < _TOLERANCE_S


def spawn_detached(arguments: list[str], log: Path, extra_environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `python -m ...` in a process group of its own, so that it outlives the app, with its output in `log`.

    The mark of the run that starts it, if any, is not passed on: what a run sets going for others does not end with it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    inherited = {name: value for name, value in os.environ.items() if name != _MARK}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=sys.platform != "win32",
            creationflags=flags,
            env={**inherited, **(extra_environment or {})},
        )


def stand_back() -> None:
    """Let this process, and what it will start, have the processor only when nobody else wants it (the app, above all).

    How far, from 0 (not at all) to 19, says the environment variable SLEEPFM_NICE.
    """
    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        return
    asked = os.environ.get("SLEEPFM_NICE", "")
    nicer = min(int(asked), 19) if asked.isdecimal() else _NICER
    process.nice(max(process.nice(), nicer))
    if os.getsid(0) == os.getpid():
        # many Linux systems weigh whole sessions against each other and nice values only within one (sched(7), "autogroup"):
        # a run is a session of its own, so that its nice value alone would change nothing
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(nicer), encoding="ascii")


def marked(home: Path) -> Iterator[tuple[psutil.Process, Mark]]:
    """Give the living processes that belong to runs of a home folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # gone meanwhile, or somebody else's: then it is no run of ours
            mark = mark_in(process.environ())
            if mark is not None and mark.home == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                yield process, mark


def kill_marked(home: Path, which: Callable[[Mark], bool]) -> int:
    """Kill the processes of the runs that `which` says yes to, and return how many there were.

    It looks again until nothing is found: a process may have started another while it was looked for.
    """
    killed = 0
    for _ in range(5):
        found = [process for process, mark in marked(home) if which(mark) and process.pid != os.getpid()]
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=5)
        killed += len(found)
    return killed
