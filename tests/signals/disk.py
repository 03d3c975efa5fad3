"""A disk that is full: the system itself refuses to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def disk_with_room(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond n_bytes (EFBIG takes the place of ENOSPC); skip where the system cannot."""
    resource = pytest.importorskip("resource", reason="Windows cannot limit the size of a process's files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
