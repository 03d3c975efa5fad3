"""Processes that belong to runs, and the devices that are handed to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.runs import devices
from sleepfm.runs.launchers.local import LocalLauncher
from sleepfm.runs.processes import Mark, identity, is_alive, kill_marked, mark_in, marked, spawn_detached
from sleepfm.runs.table import JobTable, Lane

FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
time.sleep(60)
"""


def test_a_mark_comes_back_from_an_environment() -> None:
    mark = Mark("/home/with|bar", "20261120-101500-a1b2c3", 3)
    assert mark_in(mark.environment()) == mark
    for text in ("", "1", "1|", "x|job|/home", "1|job|", "|||"):
        assert mark_in({"SLEEPFM_RUN": text}) is None
    assert mark_in({}) is None


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are of POSIX")
def test_the_processes_of_a_run_are_found_and_ended_whoever_their_parents_are(tmp_path: Path) -> None:
    mark, other = (Mark(str(tmp_path), "job", attempt) for attempt in (1, 2))
    parent, stranger = (
        subprocess.Popen([sys.executable, "-c", FAMILY], env=os.environ | one.environment()) for one in (mark, other)
    )
    try:
        deadline = time.monotonic() + 30
        while len(list(marked(tmp_path))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.is_on(parent.pid)
        assert not other.is_on(parent.pid)
        assert not mark.is_on(os.getpid())
        parent.kill()
        parent.wait()
        assert kill_marked(tmp_path, lambda one: one == mark) == 1, "the child that nobody knows any more"
        assert {one.attempt for _, one in marked(tmp_path)} == {2}
    finally:
        kill_marked(tmp_path, lambda _: True)
        parent.wait()
        stranger.wait()
    assert not list(marked(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_runs_processes_are_found_however_the_home_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path)
    homes = [open_home(typed) for typed in (tmp_path / "disk" / "home", tmp_path / "link" / "home", "link/../disk/home")]
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    for started in homes:
        process = subprocess.Popen(words, env=os.environ | Mark(str(started.root), "job", 1).environment())
        try:
            assert [kill_marked(home.root, lambda _: True) for home in homes] == [1, 0, 0]
        finally:
            process.kill()
            process.wait()


def test_a_home_that_leads_nowhere_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    with pytest.raises(RequestError, match="ring"):
        open_home(tmp_path / "ring" / "home")


def test_what_a_run_starts_for_others_does_not_carry_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Mark(str(tmp_path), "job", 1).environment().items():
        monkeypatch.setenv(name, value)
    process = spawn_detached(["timeit", "-n1", "-r1", "import time; time.sleep(20)"], tmp_path / "log.txt", {"OTHER": "1"})
    try:
        assert is_alive(process.pid, identity(process.pid))
        environment = psutil.Process(process.pid).environ()
        deadline = time.monotonic() + 20
        while "OTHER" not in environment and time.monotonic() < deadline:  # until it has become the new program
            environment = psutil.Process(process.pid).environ()
        assert mark_in(environment) is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("said", "code", "visible", "found"),
    [
        ("GPU 0: NVIDIA H200 (UUID: GPU-1)\nGPU 1: NVIDIA H200 (UUID: GPU-2)\n", 0, None, (0, 1)),
        ("GPU 0: A\nGPU 1: B\nGPU 2: C\n", 0, "2,0", (2, 0)),
        ("GPU 0: A\nGPU 1: B\n", 0, "1,7,0", (1,)),
        ("GPU 0: A\n", 0, "", ()),
        ("NVIDIA-SMI has failed because it couldn't communicate with the driver\n", 9, None, ()),
    ],
)
def test_gpus_are_counted_without_torch(
    monkeypatch: pytest.MonkeyPatch, said: str, code: int, visible: str | None, found: tuple[int, ...]
) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, code, said, "")

    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(devices.subprocess, "run", run)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices._gpus.cache_clear()
    try:
        assert devices.gpus() == found
    finally:
        devices._gpus.cache_clear()


def test_a_process_tells_which_gpus_it_was_given() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(30)"], env=os.environ | {"CUDA_VISIBLE_DEVICES": "1,3"}
    )
    try:
        deadline = time.monotonic() + 20
        while devices.gpus_of(process.pid) != (1, 3) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert devices.gpus_of(process.pid) == (1, 3)
    finally:
        process.kill()
        process.wait()
    assert devices.gpus_of(process.pid) == ()
    assert devices.gpus_of(None) == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has priority classes")
def test_a_run_stands_back_as_a_session_too() -> None:
    code = "import os; from sleepfm.runs.processes import stand_back; stand_back(); print(os.nice(0)); "
    code += "print(open('/proc/self/autogroup').read() if os.path.exists('/proc/self/autogroup') else 'no groups')"
    for asked, nice in (("12", 12), ("much", 10)):
        words = [sys.executable, "-c", code]
        done = subprocess.run(
            words, env=os.environ | {"SLEEPFM_NICE": asked}, capture_output=True, text=True, check=True, start_new_session=True
        )
        own, session = done.stdout.strip().splitlines()
        assert int(own) == max(nice, os.nice(0))
        assert session == "no groups" or session.endswith(f"nice {nice}"), session


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
def test_a_run_is_asked_to_stop_also_after_the_clock_was_set_anew_and_a_stranger_with_its_pid_is_not(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    table = JobTable(home)
    job = table.add("import", lane=Lane.QUICK, title="x")
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    own = subprocess.Popen(words, env=os.environ | Mark(str(home.root), job.id, 1).environment())
    stranger = subprocess.Popen(words)
    launcher = LocalLauncher(home)
    try:
        deadline = time.monotonic() + 20
        while not list(marked(home.root)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in (own, stranger):
            started = identity(process.pid)
            assert started is not None
            row = replace(job, pid=process.pid, pid_started=started - 3600)
            assert launcher.poll(row).alive is (process is own)
            launcher.stop(row)
        assert own.wait(timeout=20) == -signal.SIGTERM
        assert stranger.poll() is None
    finally:
        for process in (own, stranger):
            process.kill()
            process.wait()
