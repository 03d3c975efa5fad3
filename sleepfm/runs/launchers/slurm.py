"""Jobs on a Slurm cluster, through submitit."""

from __future__ import annotations

from sleepfm.home import Home
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.table import Job


class SlurmLauncher:
    """Submits jobs to Slurm, and knows them again by the cluster's id."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        raise NotImplementedError

    def find(self, job: Job) -> Handle | None:
        raise NotImplementedError

    def poll(self, job: Job) -> LaunchState:
        raise NotImplementedError

    def stop(self, job: Job) -> None:
        raise NotImplementedError

    def kill(self, job: Job) -> None:
        raise NotImplementedError
