"""The GPUs of this machine, counted without torch, which the app and the dispatcher must not load."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from functools import lru_cache

import psutil

_FRESH_S = 60.0
_PATIENCE_S = 10.0
_VARIABLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> tuple[int, ...]:
    """Return the numbers of the GPUs that may be used; CUDA_VISIBLE_DEVICES limits them, as it does for torch."""
    return _gpus(os.environ.get(_VARIABLE), int(time.monotonic() // _FRESH_S))


@lru_cache(maxsize=2)
def _gpus(visible: str | None, _minute: int) -> tuple[int, ...]:
    there = tuple(range(_count()))
    if visible is None:
        return there
    chosen = []
    for word in visible.split(","):
        if not word.strip().isdecimal() or int(word) not in there:
            break  # as CUDA does: what follows a device that is not there does not count
        chosen.append(int(word))
    return tuple(chosen)


def _count() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0  # a driver that does not answer has no GPU to give
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0


def gpus_of(pid: int | None) -> tuple[int, ...]:
    """Return the GPUs that were handed to a living process when it was started."""
    if pid is not None:
        with contextlib.suppress(psutil.Error, OSError):
            words = psutil.Process(pid).environ().get(_VARIABLE, "").split(",")
            return tuple(int(word) for word in words if word.strip().isdecimal())
    return ()
