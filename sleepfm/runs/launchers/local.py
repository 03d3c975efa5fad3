"""Jobs as processes of this machine, each in a group of its own; several devices through torchrun."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import psutil

from sleepfm.home import Home
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.processes import Mark, identity, is_alive, kill_marked, marked, spawn_detached
from sleepfm.runs.run_files import log_file
from sleepfm.runs.table import Job

_TORCHRUN = "torch.distributed.run"
_CHECKPOINT_PATIENCE_S = 120
"""How long torchrun lets its processes write their checkpoint; its own 30 s are short for a large model on a slow disk."""


class LocalLauncher:
    """Starts workers here, and knows them again by pid and start time, or by the mark that they carry."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        """Start the worker, detached from whoever asks; its output goes to the run's log."""
        words = ["sleepfm.runs.worker", str(self._home.root), job.id]
        if job.devices > 1:
            limits = f"--shutdown-timeout={_CHECKPOINT_PATIENCE_S}"
            words = [_TORCHRUN, "--standalone", limits, f"--nproc-per-node={job.devices}", "-m", *words]
        process = spawn_detached(words, log_file(self._home, job.id), self._environment(job, gpus))
        self._started[job.id] = process
        return Handle(pid=process.pid, pid_started=identity(process.pid))

    def find(self, job: Job) -> Handle | None:
        """Look for the job's worker among this machine's processes."""
        family = [one for one, mark in marked(self._home.root) if (mark.job, mark.attempt) == (job.id, job.attempt)]
        born = [(started, one.pid) for one in family if (started := identity(one.pid)) is not None]
        if not born:
            return None
        started, pid = min(born)  # the eldest started the others
        return Handle(pid=pid, pid_started=started)

    def poll(self, job: Job) -> LaunchState:
        """Tell whether the process is there; the worker writes everything else into the row itself."""
        process = self._started.get(job.id)
        if process is not None and process.pid == job.pid:
            code = process.poll()  # also takes the exit code, without which the process would stay as a zombie
            if code is None:
                return LaunchState(alive=True)
            del self._started[job.id]
            return LaunchState(alive=False, words=f"its process {_ending(code)}")
        if self._lives(job):
            return LaunchState(alive=True)
        return LaunchState(alive=False, words="its process ended without a word (killed, or the machine went down)")

    def stop(self, job: Job) -> None:
        """Send SIGTERM to the worker; torchrun passes it on to its processes."""
        if job.pid is not None and self._lives(job):
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(job.pid).terminate()

    def kill(self, job: Job) -> bool:
        """End every process of the run, also when the worker itself is gone and only what it started is left."""
        kill_marked(self._home.root, lambda mark: mark.job == job.id)
        return True

    def _lives(self, job: Job) -> bool:
        """Tell whether the job's very process is there.

        The clock that start times are told by may be set anew while a run goes on for days: then its mark tells that it is it.
        """
        return is_alive(job.pid, job.pid_started) or self._mark(job).is_on(job.pid)

    def _mark(self, job: Job) -> Mark:
        return Mark(str(self._home.root), job.id, job.attempt)

    def _environment(self, job: Job, gpus: tuple[int, ...]) -> dict[str, str]:
        """Return a worker's share of the machine: training leaves a core to the app, and waiting threads sleep, not spin.

        With a core taken by another process, spinning OpenMP threads slowed an encoder pass tenfold.
        """
        cores = os.cpu_count() or 1
        threads = max(1, cores - 1) if job.lane.trains or cores > 2 else cores
        words = self._mark(job).environment() | {"OMP_WAIT_POLICY": "PASSIVE"}
        words |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(max(1, threads // job.devices)))
        if gpus:
            words["CUDA_VISIBLE_DEVICES"] = ",".join(str(number) for number in gpus)
        return words


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
