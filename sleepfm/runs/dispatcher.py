"""Runs the queue: takes jobs lane by lane, each in a worker process, and ends itself when there is nothing left.

One dispatcher a home folder (a file lock); it is detached from whoever started it, so closing the browser or restarting the
app loses nothing. `ensure_running` may be called as often as one likes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from filelock import FileLock, Timeout

from sleepfm.home import Home, open_home
from sleepfm.runs.processes import end_tree, identity, is_alive, spawn_detached
from sleepfm.runs.table import Job, JobState, JobTable, Lane

_POLL_S = 0.1
_IDLE_S = 3.0
_STOP_PATIENCE_S = 8.0


def log_file(home: Home, identifier: str) -> Path:
    """Return where a job's output goes."""
    return home.runs / identifier / "log.txt"


def ensure_running(home: Home) -> None:
    """Start a dispatcher for this home folder; a second one finds the lock taken and ends."""
    process = spawn_detached(["sleepfm.runs.dispatcher", str(home.root)], home.runs / "dispatcher.log")
    # somebody must ask for its exit code, else it stays a zombie for as long as the app runs
    threading.Thread(target=process.wait, daemon=True).start()


def wait_for(table: JobTable, identifier: str, *, timeout_s: float) -> Job:
    """Block until a job has ended, or the time is over, and return it as it stands."""
    deadline = time.monotonic() + timeout_s
    while (job := table.get(identifier)).open and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return job


def _thread_limits() -> dict[str, str]:
    """Threads a worker may use: one core stays free for the app, and waiting threads sleep instead of spinning.

    With a core taken by another process, spinning OpenMP threads slowed an encoder pass tenfold (model.md, section D).
    """
    threads = str(max(1, (os.cpu_count() or 2) - 1)) if (os.cpu_count() or 2) > 2 else str(os.cpu_count() or 1)
    return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}


class Dispatcher:
    """The loop over the lanes."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.table = JobTable(home)
        self._running: dict[Lane, tuple[Job, subprocess.Popen[bytes]]] = {}
        self._adopted: dict[Lane, Job] = {}

    def run(self) -> None:
        """Work until the queue has been empty for a moment."""
        self.table.reconcile()
        # workers of a dispatcher that was killed go on by themselves: their lanes stay taken until they end
        self._adopted = {job.lane: job for job in self.table.list(states=(JobState.RUNNING,))}
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < _IDLE_S:
            if self._step():
                idle_since = time.monotonic()
            time.sleep(_POLL_S)

    def _step(self) -> bool:
        for lane in Lane:
            if lane in self._running:
                self._watch(lane)
            elif lane in self._adopted:
                self._watch_adopted(lane)
            elif (job := self.table.claim(lane)) is not None:
                self._start(lane, job)
        return bool(self._running or self._adopted)

    def _start(self, lane: Lane, job: Job) -> None:
        process = spawn_detached(
            ["sleepfm.runs.worker", str(self.home.root), job.id], log_file(self.home, job.id), _thread_limits()
        )
        self.table.set_process(job.id, process.pid, identity(process.pid))
        self._running[lane] = (self.table.get(job.id), process)

    def _watch(self, lane: Lane) -> None:
        job, process = self._running[lane]
        if process.poll() is not None:
            del self._running[lane]
            self._settle(job, f"its process ended with code {process.returncode}")
        elif self.table.get(job.id).stop_requested:
            end_tree(process.pid, job.pid_started, _STOP_PATIENCE_S)
            self.table.end(job.id, JobState.STOPPED, error="stopped by the user")

    def _watch_adopted(self, lane: Lane) -> None:
        job = self._adopted[lane]
        if not is_alive(job.pid, job.pid_started):
            del self._adopted[lane]
            self._settle(job, "its process ended without a word")
        elif self.table.get(job.id).stop_requested and job.pid is not None:
            end_tree(job.pid, job.pid_started, _STOP_PATIENCE_S)
            self.table.end(job.id, JobState.STOPPED, error="stopped by the user")

    def _settle(self, job: Job, what: str) -> None:
        """Close the row of a worker that is gone but did not close it itself."""
        if self.table.get(job.id).open:
            log = log_file(self.home, job.id)
            tail = " ".join(log.read_text("utf-8", "replace").splitlines()[-2:]) if log.is_file() else ""
            self.table.end(job.id, JobState.CRASHED, error=f"{what}; last words: {tail or 'none'}")


def main(home_folder: str) -> int:
    """Hold the lock and run; when a job was queued in the moment of leaving, take the lock again."""
    home = open_home(Path(home_folder))
    while True:
        try:
            # a newcomer waits a moment: the one that holds the lock may be about to leave without seeing the newest job
            with FileLock(home.runs / "dispatcher.lock", timeout=_IDLE_S / 2):
                dispatcher = Dispatcher(home)
                dispatcher.run()
        except Timeout:
            return 0
        if not dispatcher.table.list(states=(JobState.QUEUED,), limit=1):
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
