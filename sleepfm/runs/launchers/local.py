"""Jobs as processes of this machine, each in a group of its own; several devices through torchrun."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import psutil

from sleepfm.home import Home
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.processes import end_tree, identity, is_alive, spawn_detached
from sleepfm.runs.table import Job, Lane

WORKER = "sleepfm.runs.worker"
_TORCHRUN = "torch.distributed.run"
_TRAINING = (Lane.TRAIN_CPU, Lane.TRAIN_CUDA)


class LocalLauncher:
    """Starts workers here, and knows them again by pid and start time."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        """Start the worker, detached from whoever asks; its output goes to the run's log."""
        words = [WORKER, str(self._home.root), job.id]
        if job.devices > 1:
            words = [_TORCHRUN, "--standalone", f"--nproc-per-node={job.devices}", "-m", *words]
        process = spawn_detached(words, self._home.runs / job.id / "log.txt", _environment(job, gpus))
        self._started[job.id] = process
        return Handle(pid=process.pid, pid_started=identity(process.pid))

    def find(self, job: Job) -> Handle | None:
        """Look through this machine's processes for the job's worker."""
        words = [WORKER, str(self._home.root), job.id]
        found = [p for p in psutil.process_iter(["cmdline", "create_time"]) if (p.info["cmdline"] or [])[-3:] == words]
        if not found:
            return None
        first = min(found, key=lambda process: float(process.info["create_time"]))  # of several, the one that started the others
        return Handle(pid=first.pid, pid_started=float(first.info["create_time"]))

    def poll(self, job: Job) -> LaunchState:
        """Tell whether the process is there; the worker writes everything else into the row itself."""
        process = self._started.get(job.id)
        if process is not None and process.pid == job.pid:
            code = process.poll()  # also takes the exit code, without which the process would stay as a zombie
            if code is None:
                return LaunchState(alive=True)
            del self._started[job.id]
            return LaunchState(alive=False, words=f"its process {_ending(code)}")
        if is_alive(job.pid, job.pid_started):
            return LaunchState(alive=True)
        return LaunchState(alive=False, words="its process ended without a word (killed, or the machine went down)")

    def stop(self, job: Job) -> None:
        """Send SIGTERM to the worker, which passes it on where it has processes of its own."""
        if job.pid is not None and is_alive(job.pid, job.pid_started):
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(job.pid).terminate()

    def kill(self, job: Job) -> None:
        """End the worker and its group, also when the worker itself is gone and only what it started is left."""
        if job.pid is None or job.pid_started is None:
            return
        end_tree(job.pid, job.pid_started, patience_s=0)
        if sys.platform == "win32":
            return
        for process in psutil.process_iter(["create_time"]):
            with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                # younger than the worker: its group's number cannot have come to somebody else while members were left
                if process.info["create_time"] >= job.pid_started - 1 and os.getpgid(process.pid) == job.pid:
                    os.kill(process.pid, signal.SIGKILL)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _environment(job: Job, gpus: tuple[int, ...]) -> dict[str, str]:
    """Return a worker's share of the machine: training leaves a core to the app, and waiting threads sleep instead of spinning.

    With a core taken by another process, spinning OpenMP threads slowed an encoder pass tenfold.
    """
    cores = os.cpu_count() or 1
    threads = max(1, cores - 1) if job.lane in _TRAINING or cores > 2 else cores
    words = {"OMP_WAIT_POLICY": "PASSIVE"}
    words |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(max(1, threads // job.devices)))
    if gpus:
        words["CUDA_VISIBLE_DEVICES"] = ",".join(str(number) for number in gpus)
    return words
