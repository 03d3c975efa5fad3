"""Training in several processes: joining those that torchrun or Slurm started, and starting them for `--devices N`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from sleepfm.errors import RequestError


@dataclass(frozen=True)
class Team:
    """The processes of a run, of which this is number `rank`.

    Attributes
    ----------
    local_rank
        This process's number on its machine, which is also its GPU's.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and speaks."""
        return self.rank == 0


@contextmanager
def join_team(device: str) -> Iterator[Team]:
    """Join the other processes of the run, if the environment names any (torchrun's variables, or Slurm's).

    Raises
    ------
    RequestError
        When the environment names several processes but not where they meet.
    """
    team = _team_of_environment()
    if team.size == 1:
        yield team
        return
    if "MASTER_ADDR" not in os.environ or "MASTER_PORT" not in os.environ:
        raise RequestError(
            "several processes were started, but MASTER_ADDR and MASTER_PORT do not say where they meet; use torchrun"
        )
    os.environ.update(RANK=str(team.rank), WORLD_SIZE=str(team.size), LOCAL_RANK=str(team.local_rank))
    if device == "cuda":
        torch.cuda.set_device(team.local_rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield team
    finally:
        dist.destroy_process_group()


def _team_of_environment() -> Team:
    variables = os.environ
    if "WORLD_SIZE" in variables and "RANK" in variables:
        return Team(int(variables["RANK"]), int(variables["WORLD_SIZE"]), int(variables.get("LOCAL_RANK", 0)))
    # Slurm's variables stand in every batch job; only a step of several tasks with a meeting point is a team.
    if int(variables.get("SLURM_NTASKS", 1)) > 1 and "SLURM_PROCID" in variables and "MASTER_ADDR" in variables:
        return Team(int(variables["SLURM_PROCID"]), int(variables["SLURM_NTASKS"]), int(variables.get("SLURM_LOCALID", 0)))
    return Team()


def leads() -> bool:
    """Return whether this process speaks for its run."""
    return _team_of_environment().rank == 0


def in_team() -> bool:
    """Return whether this process was started as one of several."""
    return _team_of_environment().size > 1


def start_team(devices: int, words: Sequence[str]) -> int:
    """Run `sleepfm` with these words in so many processes on this machine and return the exit code of the run."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={devices}",
        "--max-restarts=0",
        "-m",
        "sleepfm",
        *words,
    ]
    # One thread each unless the user says otherwise: processes on one machine share its cores.
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices)), **os.environ}
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()  # the processes got the signal too; let them write their checkpoint
