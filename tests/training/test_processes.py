"""Joining a run's other processes from what torchrun or Slurm put into the environment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sleepfm.errors import RequestError
from sleepfm.training.processes import join_team

JOIN = """
import torch, torch.distributed as dist
from sleepfm.training.processes import join_team
with join_team("cpu") as team:
    total = torch.tensor(float(team.rank + 1))
    dist.all_reduce(total)
    print(team.rank, team.size, team.local_rank, int(total), team.leads)
"""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("rank", "size", "local"), [("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"), ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
)
def test_processes_of_a_launcher_find_each_other(rank: str, size: str, local: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD", "LOCAL_RANK"))}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "OMP_NUM_THREADS": "1", size: "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", JOIN],
            cwd=Path(__file__).parents[2],
            env={**clean, **meeting, rank: str(number), local: str(number)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert said == [["0", "2", "0", "3", "True"], ["1", "2", "1", "3", "False"]]


def test_one_process_is_a_team_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with join_team("cpu") as team:
        assert (team.rank, team.size, team.leads) == (0, 1, True)


def test_several_processes_without_a_meeting_point_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(RequestError, match="MASTER_ADDR"), join_team("cpu"):
        pass
