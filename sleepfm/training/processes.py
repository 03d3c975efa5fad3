"""Training in several processes: joining those that torchrun or Slurm started, and starting them for `--devices N`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from sleepfm.errors import RequestError
from sleepfm.inference.device import available_cores

_PATIENCE_S = 20.0
"""How long the others may take to end by themselves once one process has failed."""


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
    """Run `sleepfm` with these words in so many processes on this machine, and return the exit code of the one that leads.

    A request to stop (SIGTERM, Ctrl-C) is passed on, so that they write their checkpoint. When one fails the others, which would
    wait for it for ever, are ended too. For several machines use torchrun or Slurm.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    common = {
        # Processes on one machine share its cores, unless the user says otherwise.
        "OMP_NUM_THREADS": str(max(1, available_cores() // devices)),
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(devices),
    }
    processes: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: object) -> None:
        for process in processes:
            process.send_signal(number)

    # Ctrl-C reaches the processes by itself: they belong to the same terminal.
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on), signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    try:
        for rank in range(devices):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen([sys.executable, "-m", "sleepfm", *words], env={**common, **place}))
        return _wait(processes)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; return the first process's exit code, or that of one that failed where it would not have."""
    while any(process.poll() is None for process in processes):
        codes = [process.poll() for process in processes]
        if any(code not in (None, 0) for code in codes):
            deadline = time.monotonic() + _PATIENCE_S
            while time.monotonic() < deadline and any(process.poll() is None for process in processes):
                time.sleep(0.1)
            for process in processes:
                if process.poll() is None:
                    process.kill()
        time.sleep(0.1)
    first, *others = (process.wait() for process in processes)
    return first or next((abs(code) for code in others if code), 0)
