"""Runs the queue: takes jobs lane by lane, each in a worker process, and ends itself when there is nothing left.

One dispatcher a home folder (a file lock, which the system takes back from a process that is killed); it is detached from
whoever started it, so closing the browser or restarting the app loses nothing. `ensure_running` may be called as often as one
likes. It keeps nothing to itself that a successor would need: what runs where stands in the table and in the processes.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.runs.devices import gpus, gpus_of
from sleepfm.runs.launchers import Handle, LaunchState, launcher_of
from sleepfm.runs.processes import kill_marked, spawn_detached
from sleepfm.runs.run_files import log_tail
from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS, Job, JobState, JobTable, Lane

_LOCK = "dispatcher.lock"
_POLL_S = 0.1
_CLUSTER_POLL_S = 1.0
_IDLE_S = 3.0
_STOP_PATIENCE_S = 8.0
_CHECKPOINT_PATIENCE_S = 120.0
_LEAVING_S = 10.0
"""How long a worker may take to end after it has closed its row."""
_TROUBLE_S = 2.0
_LAST_WORDS = 4


def ensure_running(home: Home) -> None:
    """Start a dispatcher for this home folder; a second one finds the lock taken and ends.

    Raises
    ------
    SleepFMError
        No process can be started now: what was queued waits.
    """
    try:
        process = spawn_detached(["sleepfm.runs.dispatcher", str(home.root)], home.runs / "dispatcher.log")
    except OSError as error:
        raise SleepFMError(
            f"it is in the queue, but no process to work it off could be started ({error.strerror or error}); a running app tries"
            " again within a minute"
        ) from error
    # somebody must ask for its exit code, else it stays a zombie for as long as the app runs
    threading.Thread(target=process.wait, daemon=True).start()


def nobody_works(home: Home) -> bool:
    """Tell whether jobs are open and no dispatcher sees to them: the last one was killed."""
    table = JobTable(home)
    try:
        if not table.list(states=OPEN_STATES, limit=1):
            return False
    finally:
        table.close()
    try:
        with FileLock(home.runs / _LOCK, timeout=0):
            return True
    except Timeout:
        return False


def wait_for(table: JobTable, identifier: str, *, timeout_s: float) -> Job:
    """Block until a job has ended, or the time is over, and return it as it stands."""
    deadline = time.monotonic() + timeout_s
    while (job := table.get(identifier)).open and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return job


@dataclass
class _Watched:
    """A job that was started and whose process is not known to be gone.

    Attributes
    ----------
    job
        As it was claimed, with the handle by which its launcher knows it.
    gpus
        Of this machine, that it has.
    asked_at, left_at
        When it was asked to stop; when its row was first seen closed (monotonic seconds).
    said
        The progress that was last written for it.
    """

    job: Job
    gpus: tuple[int, ...] = ()
    asked_at: float | None = None
    left_at: float | None = None
    said: tuple[float | None, str] = (None, "")
    polled_at: float = -_CLUSTER_POLL_S


@dataclass
class _End:
    """How a row is to be closed."""

    job: Job
    state: JobState
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Which attempt of which job."""
        return self.job.id, self.job.attempt


class Dispatcher:
    """The loop over what runs, and over the lanes."""

    def __init__(self, home: Home, table: JobTable | None = None) -> None:
        self.home = home
        self.table = table or JobTable(home)
        self._watched: dict[str, _Watched] = {}
        self._unwritten: dict[tuple[str, int], _End] = {}
        self._unfound: list[Job] = []
        self._looked_at = -math.inf

    def run(self) -> None:
        """Work until the queue has been empty for a moment."""
        self.adopt()
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < _IDLE_S:
            try:
                if self.step():
                    idle_since = time.monotonic()
            # the disk is full or away, or the table busy: the workers go on, and so does this loop
            except (SleepFMError, sqlite3.OperationalError, OSError) as error:
                print(error, flush=True)
                idle_since = time.monotonic()
                time.sleep(_TROUBLE_S)
            time.sleep(_POLL_S)

    def adopt(self) -> None:
        """Note what an earlier dispatcher left running, for the next step to find, and end processes that no row knows."""
        self._unfound = list(self.table.list(states=(JobState.RUNNING,), archived=None, limit=100_000))
        mine = {(job.id, job.attempt) for job in self._unfound}
        kill_marked(self.home.root, lambda mark: (mark.job, mark.attempt) not in mine)

    def _look_for(self) -> None:
        """Find the processes of rows that run: living ones are watched, and a claimed job that never began waits again.

        Where a cluster does not answer it is tried again later: nothing is started twice.
        """
        self._looked_at = time.monotonic()
        for job in list(self._unfound):
            try:
                handle = self._handle(job)
            except RequestError as error:
                self._end(_End(job, JobState.FAILED, str(error)))
            except SleepFMError as error:
                print(f"{job.id}: {error}", flush=True)
                continue
            else:
                if handle is None:
                    launcher_of(job.launcher, self.home).stop(job)  # should it be on its way to a cluster, it does nothing there
                    self.table.unclaim(job.id, attempt=job.attempt)
                else:
                    gpus = gpus_of(handle.pid) if job.lane is Lane.TRAIN_CUDA else ()
                    self._watched[job.id] = _Watched(_with(job, handle), gpus)
            self._unfound.remove(job)

    def step(self) -> bool:
        """Look at everything once; return whether there is anything left to look at."""
        self._write_ends()
        if self._unfound and time.monotonic() - self._looked_at > _TROUBLE_S:
            self._look_for()
        for watched in list(self._watched.values()):
            self._watch(watched)
        for lane in Lane:
            self._fill(lane)
        return bool(self._watched or self._unwritten or self._unfound)

    def _handle(self, job: Job) -> Handle | None:
        """Return how a running job is found, looking for it when its starter was killed before it could write that down."""
        if job.pid is not None or job.external is not None:
            return Handle(job.pid, job.pid_started, job.external)
        return launcher_of(job.launcher, self.home).find(job)

    def _fill(self, lane: Lane) -> None:
        """Start what is next in a lane while there is room for it. Nobody overtakes: what waits for two GPUs is not passed by."""
        while (job := self.table.head(lane)) is not None and job.id not in self._watched:
            devices = self._room(lane, job)
            if devices is None or (claimed := self.table.claim(lane, only=job.id)) is None:
                return
            self._start(claimed, devices)

    def _room(self, lane: Lane, job: Job) -> tuple[int, ...] | None:
        """Return the GPUs that a job gets (none in other lanes), or None when it has to wait."""
        there = [watched for watched in self._watched.values() if watched.job.lane is lane]
        if lane is Lane.CLUSTER:
            return ()
        if lane is not Lane.TRAIN_CUDA:
            return None if there else ()
        taken = {number for watched in there for number in watched.gpus}
        free = [number for number in gpus() if number not in taken]
        if len(gpus()) < job.devices:
            return ()  # it could wait for ever: it is started without, and refused in a line
        return tuple(free[: job.devices]) if len(free) >= job.devices else None

    def _start(self, job: Job, devices: tuple[int, ...]) -> None:
        if job.lane is Lane.TRAIN_CUDA and len(devices) < job.devices:
            there = len(gpus())
            self._end(_End(job, JobState.FAILED, f"it needs {job.devices} GPUs; this machine has {there} that may be used"))
            return
        try:
            handle = launcher_of(job.launcher, self.home).start(job, gpus=devices)
        except SleepFMError as error:
            self._end(_End(job, JobState.FAILED, str(error)))
        except OSError as error:
            self._end(_End(job, JobState.FAILED, f"its process could not be started ({error.strerror or error}); try again"))
        else:
            self._watched[job.id] = _Watched(_with(job, handle), devices)
            self._record(job, handle)

    def _record(self, job: Job, handle: Handle) -> None:
        if handle.pid is not None:
            self.table.set_process(job.id, handle.pid, handle.pid_started, attempt=job.attempt)
        if handle.external is not None:
            self.table.set_external(job.id, handle.external, attempt=job.attempt)

    def _watch(self, watched: _Watched) -> None:
        job = watched.job
        now = self.table.get(job.id)
        mine = now.state is JobState.RUNNING and now.attempt == job.attempt
        urgent = not mine or now.kill_requested or (now.stop_requested and watched.asked_at is None)
        if job.lane is Lane.CLUSTER and not urgent and time.monotonic() - watched.polled_at < _CLUSTER_POLL_S:
            return
        watched.polled_at = time.monotonic()
        launcher = launcher_of(job.launcher, self.home)
        if mine and now.pid is None and now.external is None:  # its starter was killed, or the disk was full
            self._record(job, Handle(job.pid, job.pid_started, job.external))
        state = launcher.poll(job)
        if not state.alive:
            if mine and now.pid not in (None, job.pid):  # this one came second: another process works on the job already
                watched.job = now
                return
            self._settle(watched, state, now if mine else None)
        elif not mine:
            watched.left_at = watched.left_at or time.monotonic()
            if now.kill_requested or time.monotonic() - watched.left_at > _LEAVING_S:
                launcher.kill(job)
                watched.left_at = None
        elif now.kill_requested:
            if launcher.kill(job):
                self._end(_End(job, JobState.STOPPED, now.stop_words))
        elif now.stop_requested:
            self._ask(watched)
        elif state.fraction is not None and (state.fraction, state.message) != watched.said:
            self.table.report(job.id, state.fraction, state.message, attempt=job.attempt)
            watched.said = (state.fraction, state.message)

    def _ask(self, watched: _Watched) -> None:
        """Ask a job to stop, and end it when it does not: a training run has time for its checkpoint."""
        job = watched.job
        if watched.asked_at is None:
            watched.asked_at = time.monotonic()
            launcher_of(job.launcher, self.home).stop(job)
            return
        patience_s = _CHECKPOINT_PATIENCE_S if job.kind in TRAINING_KINDS else _STOP_PATIENCE_S
        if time.monotonic() - watched.asked_at > patience_s:
            if not launcher_of(job.launcher, self.home).kill(job):
                return  # a cluster ends it in its own time: the row says so when it has
            late = f"; it did not end by itself within {patience_s:.0f} s" if job.kind in TRAINING_KINDS else ""
            self._end(_End(job, JobState.STOPPED, job.stop_words + late))

    def _settle(self, watched: _Watched, state: LaunchState, row: Job | None) -> None:
        """Let go of a job whose process is gone: end what it left behind, and close its row, if it has not done that itself."""
        job = watched.job
        launcher_of(job.launcher, self.home).kill(job)
        del self._watched[job.id]
        if row is not None:
            if state.end is not None:
                self._end(_End(job, state.end, state.error, state.result))
            elif row.stop_requested:
                self._end(_End(job, JobState.STOPPED, row.stop_words))
            else:
                tail = " ".join(log_tail(self.home, job.id, _LAST_WORDS).splitlines())
                words = state.words or "its process ended without a word"
                self._end(_End(job, JobState.CRASHED, f"{words}; last words: {tail or 'none'}"))

    def _end(self, end: _End) -> None:
        self._unwritten.setdefault(end.key, end)
        self._write_ends()

    def _write_ends(self) -> None:
        """Close rows; what cannot be written now (the disk is full) is tried again with the next step."""
        for key, end in list(self._unwritten.items()):
            self.table.end(end.job.id, end.state, result=end.result, error=end.error, attempt=end.job.attempt)
            del self._unwritten[key]


def _with(job: Job, handle: Handle) -> Job:
    return replace(job, pid=handle.pid, pid_started=handle.pid_started, external=handle.external)


def main(home_folder: str) -> int:
    """Hold the lock and run; when a job was queued in the moment of leaving, take the lock again."""
    home = open_home(Path(home_folder))
    while True:
        try:
            # a newcomer waits a moment: the one that holds the lock may be about to leave without seeing the newest job
            with FileLock(home.runs / _LOCK, timeout=_IDLE_S / 2):
                dispatcher = Dispatcher(home)
                dispatcher.run()
        except Timeout:
            return 0
        if not dispatcher.table.list(states=(JobState.QUEUED,), limit=1):
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
