"""Knowing a process again: a pid alone is reused by the system, a pid with its start time is not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil


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
    return now is not None and abs(now - started) < 1.0


def spawn_detached(arguments: list[str], log: Path, extra_environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `python -m ...` in a process group of its own, so that it outlives the app, with its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=sys.platform != "win32",
            creationflags=flags,
            env={**os.environ, **(extra_environment or {})},
        )


def end_tree(pid: int, started: float | None, patience_s: float) -> None:
    """Ask a process and its children to end, and after `patience_s` seconds make them."""
    if not is_alive(pid, started):
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        parent.terminate()
        _, left = psutil.wait_procs(family, timeout=patience_s)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
