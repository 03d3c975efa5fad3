"""Where a model runs and in what precision, and how many threads it may take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sleepfm.errors import RequestError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16"]

MAX_WORKERS = 8
"""Beyond this many threads the interpreter's lock, not the arithmetic, sets the pace."""


@dataclass(frozen=True)
class Placement:
    """A device that is there, and how it is used.

    Attributes
    ----------
    device
        "cpu" or "cuda".
    precision
        Of matrix products and convolutions; results are always float32.
    workers
        Threads that work off windows side by side on the CPU, each on one core.
    """

    device: Literal["cpu", "cuda"]
    precision: Precision
    workers: int


def place(device: Device = "auto", precision: Precision = "fp32", workers: int | None = None) -> Placement:
    """Decide where to run.

    Parameters
    ----------
    device
        `auto` takes a GPU when torch sees one.
    workers
        Threads on the CPU; by default the cores this process may use, at most `MAX_WORKERS`.

    Raises
    ------
    RequestError
        When `cuda` is asked for and there is none, or a word is not known.
    """
    import torch  # noqa: PLC0415 - slow to load, and not needed to import this module

    if device not in ("auto", "cpu", "cuda"):
        raise RequestError(f"unknown device {device!r}: auto, cpu or cuda")
    if precision not in ("fp32", "bf16"):
        raise RequestError(f"unknown precision {precision!r}: fp32 or bf16")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise RequestError("no CUDA device here: use --device cpu or auto")
    return Placement("cuda" if there and device != "cpu" else "cpu", precision, workers or min(MAX_WORKERS, available_cores()))


def precision_mark(precision: Precision) -> str:
    """Return what a key of cached results says of the precision: nothing for fp32, whose results were there before the choice."""
    return "" if precision == "fp32" else f" {precision}"


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let torch use one thread per caller.

    torch's own threads wait for each other by spinning: when another program takes one of the cores, a night that takes 4 s
    takes a minute. Independent threads on independent windows only lose the share that the other program takes.
    """
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def lean_attention() -> Iterator[None]:
    """Let torch's transformer layers use attention that never holds the whole matrix of weights.

    Their fast path does: for a night of 5,760 tokens that is half a gigabyte, and it is slower.
    """
    import torch  # noqa: PLC0415

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
