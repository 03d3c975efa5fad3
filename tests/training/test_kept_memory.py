"""Freed memory stays with the process while a run trains, and goes back to the system afterwards."""

from __future__ import annotations

import platform
import sys

import psutil
import pytest
import torch

from sleepfm.training.kept_memory import freed_memory_kept

NUMBERS = 32 << 20  # 128 MB, more than glibc ever keeps by itself

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told what to keep")


def take_and_free() -> None:
    torch.empty(NUMBERS).fill_(1.0)


@glibc
def test_afterwards_the_memory_is_given_back() -> None:
    process = psutil.Process()
    with freed_memory_kept():
        take_and_free()
        kept = process.memory_info().rss
    assert kept - process.memory_info().rss > NUMBERS * 4 / 2
    take_and_free()
    assert process.memory_info().rss < kept


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with freed_memory_kept():
        take_and_free()
