"""Memory that a training step frees stays with the process, because the next step takes it again.

glibc gives each large block back to the system when it is freed and asks for it anew, and the system clears every page before it
hands it out. Measured on a step of 16 windows with the published encoder: a fifth less processor time when blocks are kept, for a
third more memory at the peak, because what is kept is in pieces.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MEGABYTE = 1 << 20


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within this context, freed memory is kept for the next step; afterwards it is given back. Does nothing without glibc."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        # 65,536 is the default; the thresholds are those that glibc itself settles on once large blocks were freed.
        libc.mallopt(_MMAP_MAX, 65_536)
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MEGABYTE)
        libc.mallopt(_TRIM_THRESHOLD, 64 * _MEGABYTE)
        libc.malloc_trim(0)
