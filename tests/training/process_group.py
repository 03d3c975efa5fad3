"""Runs a function in several processes of one gloo group and returns what each of them returned."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def in_processes(size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return `work(rank, *arguments)` of each rank; `work` is a function of a module, and returns what torch can save."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    # Importing torch takes longer than all the tests: a server imports it once, for all groups of a test session.
    multiprocessing.set_forkserver_preload(["torch"])
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(_join, args=(size, folder, work, arguments), nprocs=size, start_method=method)
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _join(rank: int, size: int, folder: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=(Path(folder) / "meeting").as_uri(), rank=rank, world_size=size)
    try:
        torch.save(work(rank, *arguments), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
