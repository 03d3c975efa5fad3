"""Freed memory stays with the process while a run trains, and goes back to the system afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from sleepfm.training.kept_memory import freed_memory_kept

NUMBERS = 32 << 20  # 128 MB, more than glibc ever keeps by itself
PAGES = NUMBERS * 4 // 4096

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told what to keep")


FAULTS = f"""
import resource, torch
from sleepfm.training.kept_memory import freed_memory_kept

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

with freed_memory_kept():
    torch.empty({NUMBERS}).fill_(1.0)
    before = faults()
    for _ in range(5):
        torch.empty({NUMBERS}).fill_(1.0)
    print(faults() - before)
"""


def take_and_free() -> None:
    torch.empty(NUMBERS).fill_(1.0)


@glibc
def test_a_block_is_taken_again_without_asking_the_system() -> None:
    # in a process of its own: where other memory stands in the heap's way, glibc must ask the system all the same
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < PAGES


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
