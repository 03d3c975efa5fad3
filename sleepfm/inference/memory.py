"""How much memory this process has needed at most."""

from __future__ import annotations

import sys

import psutil


def peak_memory_mb() -> float:
    """Return the largest resident set of this process so far, in MB."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource  # noqa: PLC0415 - not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
