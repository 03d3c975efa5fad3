"""What a task of a Slurm job does, without Slurm around it: its order, its end, and the warning before the time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sleepfm
from sleepfm.home import Home, open_home
from sleepfm.runs.cluster_exchange import Exchange, Order, Outcome
from sleepfm.runs.launchers.slurm import SlurmLauncher
from sleepfm.runs.table import JobState, JobTable, Lane
from tests.make_edf import write_edf

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no cluster node runs Windows")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def give(
    home: Home, files: list[Path], *, attempt: int = 1, parts: int = 0, version: str = sleepfm.__version__, identifier: str = "r1"
) -> Exchange:
    exchange = Exchange(home.runs / identifier / "cluster" / str(attempt))
    parameters = {
        "files": [[str(file), f"{number}"] for number, file in enumerate(files)],
        "out": str(home.root / "out"),
        "recipe": "published",
        "layout": "grouped",
        "jobs": 1,
    }
    exchange.give(Order(str(home.root), identifier, "conversion", parameters, parts=parts, tasks=1, version=version))
    return exchange


def start(exchange: Exchange, part: int | None = None) -> subprocess.Popen[bytes]:
    code = f"from sleepfm.runs.cluster_worker import work; work({str(exchange.folder)!r}, {part!r})"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=clean)


def end_of(exchange: Exchange, process: subprocess.Popen[bytes], number: int = 0) -> tuple[int, Outcome]:
    return process.wait(timeout=60), exchange.outcomes()[number]


def test_a_part_does_its_files_and_says_so_under_its_number(home: Home, tmp_path: Path) -> None:
    exchange = give(home, [write_edf(tmp_path / f"{n}.edf", seconds=10, labels=("ECG",)) for n in range(3)], parts=3)
    code, outcome = end_of(exchange, start(exchange, 2), 2)
    assert (code, outcome.state, outcome.error) == (0, JobState.FINISHED, None)
    assert outcome.result is not None
    assert [record["id"] for record in outcome.result["records"]] == ["2"]
    assert list(exchange.advances()) == [2]
    assert not home.database.exists(), "a node must not open the database"


@pytest.mark.parametrize("word", ["SIGUSR2", "SIGTERM", "a file"])
def test_whoever_asks_it_to_end_it_ends_and_says_why(home: Home, tmp_path: Path, word: str) -> None:
    original = write_edf(tmp_path / "night.edf", seconds=10, labels=("ECG",))
    links = [tmp_path / f"{number}.edf" for number in range(2_000)]
    for link in links:
        os.link(original, link)
    exchange = give(home, links)
    process = start(exchange)
    deadline = time.monotonic() + 60
    while not [one for one in exchange.advances().values() if one.fraction > 0]:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if word == "a file":
        exchange.ask_to_stop()
    else:
        process.send_signal(getattr(signal, word))
    code, outcome = end_of(exchange, process)
    assert (code, outcome.state) == (0, JobState.STOPPED)
    assert ("time limit was reached" in (outcome.error or "")) is (word == "SIGUSR2")
    assert not list((home.root / "out").glob(".*")), "something half-written was left"


def test_another_version_and_an_overtaken_attempt_do_nothing(home: Home, tmp_path: Path) -> None:
    night = write_edf(tmp_path / "night.edf", seconds=10, labels=("ECG",))
    other = give(home, [night], version="0.0.1")
    code, outcome = end_of(other, start(other))
    assert (code, outcome.state) == (1, JobState.FAILED)
    assert "the app 0.0.1" in (outcome.error or "")
    assert (outcome.error or "") in (home.runs / "r1" / "log.txt").read_text()
    first = give(home, [night])
    give(home, [night], attempt=2)
    code, outcome = end_of(first, start(first))
    assert (code, outcome.state) == (1, JobState.FAILED)
    assert "a later attempt" in (outcome.error or "")
    assert not (home.root / "out").exists()


def test_a_job_that_gets_to_the_cluster_after_it_was_given_up_does_nothing(home: Home, tmp_path: Path) -> None:
    job = JobTable(home).add("conversion", lane=Lane.CLUSTER, title="x", launcher="slurm")
    exchange = give(home, [write_edf(tmp_path / "a.edf", seconds=10, labels=("ECG",))], identifier=job.id)
    SlurmLauncher(home).stop(job)  # no number is known
    code, outcome = end_of(exchange, start(exchange))
    assert (code, outcome.state) == (0, JobState.STOPPED)
    assert not (home.root / "out").exists()
