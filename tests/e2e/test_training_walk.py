"""The whole way of an encoder, in a real browser: launched, watched, its app killed, finished, fine-tuned from, used."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app

from sleepfm.library.library import Library
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.runs.processes import is_alive
from sleepfm.runs.table import Job, JobState, JobTable
from sleepfm.simulation.study import simulate
from sleepfm.training.splits import Splits, write_splits

pytestmark = pytest.mark.browser

VIEWER = '[data-sleepfm="viewer"]'
CURVES = '[data-sleepfm="curves"]'
NIGHT = "sim-5-0001"
STEPS = 40


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of six simulated nights with their scorings, divided into lists."""
    folder = tmp_path_factory.mktemp("walk-cohort")
    nights = [one["id"] for one in simulate(folder, 6, 0.25, 8, format="hdf5")["studies"]]
    write_splits(Splits(tuple(nights[:2]), tuple(nights[2:4]), (nights[4],), (nights[5],)), folder / "splits.json")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home folder with one simulated night that is not staged."""
    with Library.open(tmp_path / "home") as library:
        library.store_hash(NIGHT, fingerprint(library.add(simulate(tmp_path / "night", 1, 0.2, 5)["studies"][0]["edf"]).path))
    return tmp_path / "home"


@pytest.fixture
def apps(home: Path) -> Iterator[list[RunningApp]]:
    """Give the apps that were started, the first already there; what still runs at the end is stopped."""
    port = free_port()
    started = [start_app(home, port)]
    yield started
    for app in started:
        if app.process.poll() is None:
            stop_app(app)


def row(home: Path, kind: str) -> Job:
    table = JobTable(Library.open(home).home)
    jobs = table.list(kinds=(kind,))
    table.close()
    assert len(jobs) == 1, [job.title for job in jobs]
    return jobs[0]


def choose_folder(tab: Any, cohort: Path) -> None:
    tab.get_by_role("radio", name="Folder", exact=True).click()
    folder = tab.get_by_role("textbox", name="Folder")
    folder.fill(str(cohort))
    folder.press("Enter")
    tab.get_by_text("Learn from").wait_for()


def start(tab: Any) -> None:
    tab.get_by_role("button", name="Check first").click()
    tab.get_by_role("button", name="Start").first.click()  # once it works
    tab.wait_for_url("**/runs?run=*")


def wait_for_step(tab: Any, least: int) -> int:
    """Wait until a run's curves on the screen have come so far, and return how far that is."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        step = int(tab.locator(CURVES).get_attribute("data-step") or 0)
        if step >= least:
            return step
        tab.wait_for_timeout(200)
    pytest.fail(f"the curves did not come to step {least}")


def test_from_the_form_through_a_killed_app_to_a_staged_night(tab: Any, home: Path, apps: list[RunningApp], cohort: Path) -> None:
    app = apps[0]
    tab.goto(f"{app.url}/pretrain")
    tab.get_by_role("radio", name="Smoke test").wait_for()
    choose_folder(tab, cohort)
    tab.get_by_text("Training", exact=True).click()
    for label, number in (("Stop after", STEPS), ("Epochs", 1000)):
        field = tab.get_by_role("textbox", name=label).first
        field.fill(str(number))
        field.press("Enter")
    start(tab)
    wait_for_step(tab, 3)

    worker = row(home, "pretrain")
    assert worker.state is JobState.RUNNING
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)  # it must not be done before the app is back
    os.kill(app.process.pid, signal.SIGKILL)
    app.process.wait(timeout=10)
    apps.append(start_app(home, int(app.url.rpartition(":")[2])))
    tab.goto(f"{app.url}/runs?run={worker.id}")
    seen = wait_for_step(tab, 3)
    still = row(home, "pretrain")
    assert (still.pid, still.state) == (worker.pid, JobState.RUNNING)
    os.kill(worker.pid, signal.SIGCONT)
    wait_for_step(tab, seen + 1)
    tab.get_by_role("button", name="Fine-tune from it").click()
    done = row(home, "pretrain")
    assert (done.state, done.attempt, done.result["steps"]) == (JobState.FINISHED, 1, STEPS)
    gone_by = time.monotonic() + 20  # its row is closed by its last breath
    while is_alive(worker.pid, worker.pid_started):
        assert time.monotonic() < gone_by
        time.sleep(0.1)

    tab.wait_for_url("**/finetune?task=staging&encoder=smoke-encoder*")
    choose_folder(tab, cohort)
    start(tab)
    tab.get_by_role("button", name="Open its model").click()
    tab.wait_for_url("**/models?model=smoke-staging*")
    tab.get_by_role("button", name="Make it the default").click()
    tab.get_by_text("smoke-staging is the default").first.wait_for()

    tab.goto(f"{app.url}/review?study={NIGHT}&epoch=1")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="1"]')
    tab.get_by_label("Engine").click()
    tab.get_by_role("option", name="smoke-staging (simulated)").click()
    tab.get_by_role("button", name="Stage", exact=True).click()
    tab.locator(VIEWER).get_by_text("SleepFM (simulated) was trained on simulated signals").wait_for()
    with Library.open(home) as library:
        assert [(one.engine, one.model) for one in library.scorings(NIGHT)] == [("sleepfm", "smoke-staging")]
