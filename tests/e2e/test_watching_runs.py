"""Runs in the browser: the list, a crash, a comparison, and a real training that is watched, stopped, resumed and killed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from viewer.made_up_runs import add_run, write_folder

from sleepfm.administration.audit import entries
from sleepfm.home import open_home
from sleepfm.library.library import Library
from sleepfm.library.training_runs import submit_pretrain
from sleepfm.runs.processes import is_alive
from sleepfm.runs.table import JobState, JobTable, Lane
from sleepfm.training.settings import PretrainSettings
from tests.training.conftest import Cohort, tiny, write_study

pytestmark = pytest.mark.browser

LIST = '[data-sleepfm="runs"]'
CURVES = '[data-sleepfm="curves"]'


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with runs that have ended in every way, and jobs of another kind."""
    folder = tmp_path_factory.mktemp("runs")
    home = open_home(folder / "home")
    table = JobTable(home)
    for name, state, training in (
        ("narrow", JobState.FINISHED, {}),
        ("wide", JobState.FINISHED, {"batch_size": 128}),
        ("broken", JobState.FAILED, {}),
        ("lost", JobState.CRASHED, {}),
    ):
        write_folder(home, add_run(table, name, state, **training))
    for number in range(30):
        job = table.add("stage", lane=Lane.HEAVY, title=f"Stage night-{number}", subject=f"night-{number}")
        table.request_stop(job.id)
    table.close()
    running = start_app(folder / "home", free_port())
    yield running
    stop_app(running)


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Give six short studies to train on."""
    folder = tmp_path_factory.mktemp("signals")
    studies = tuple(f"s{number}" for number in range(6))
    for number, study in enumerate(studies):
        write_study(folder / f"{study}.hdf5", montage=number % 2, seed=number)
    splits = folder / "splits.json"
    splits.write_text('{"pretrain": ["s0", "s1", "s2", "s3"], "validation": ["s4", "s5"]}', encoding="utf-8")
    return Cohort(folder, splits, studies)


def line(page: Any, title: str) -> Any:
    return page.locator(f"{LIST} tr[data-run]").filter(has_text=title)


def badge(page: Any, state: str) -> None:
    page.locator('[data-testid="stMain"] .stMarkdownBadge', has_text=re.compile(rf"^{state}$")).first.wait_for()


def step(page: Any) -> int:
    return int(page.locator(CURVES).get_attribute("data-step") or 0)


def step_beyond(page: Any, least: int) -> int:
    """Wait until the picture shows a later step than `least`, and return it."""
    deadline = time.monotonic() + 90
    while (now := step(page)) <= least:
        assert time.monotonic() < deadline, page.inner_text("body")
        time.sleep(0.1)
    return now


def test_the_list_is_searched_filtered_and_opened_with_the_keyboard(runs: RunningApp, tab: Any) -> None:
    tab.goto(f"{runs.url}/runs")
    line(tab, "Stage night-29").wait_for()
    assert tab.locator(f"{LIST} tr[data-run]").count() == 25
    tab.get_by_text("34 ended, page 1 of 2").wait_for()
    search = tab.get_by_placeholder("Search: part of a name, note or id")
    search.fill("lost")
    search.press("Enter")
    line(tab, "Stage night-29").wait_for(state="detached")
    link = line(tab, "Pretrain lost").get_by_role("link")
    link.focus()
    link.press("Enter")
    badge(tab, "crashed")
    assert "run=" in tab.url
    tab.get_by_text("The last lines of its log").wait_for()
    tab.get_by_role("button", name="Resume").wait_for()
    tab.locator(f'{CURVES}[data-step="60"]').wait_for()
    picture = tab.locator(f'{CURVES} [data-panel="loss"] .picture')
    reading = tab.locator(f'{CURVES} [data-panel="loss"] .readings')
    last = reading.inner_text()
    picture.focus()
    for _ in range(5):
        picture.press("Shift+ArrowLeft")
    tab.wait_for_function("([node, text]) => node.innerText !== text", arg=[reading.element_handle(), last])
    tab.get_by_role("button", name="Log scale").press("Enter")
    assert tab.get_by_role("button", name="Log scale").get_attribute("aria-pressed") == "true"
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download the whole log").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("step 1: well\n")
    tab.get_by_role("tab", name="Settings").click()
    tab.get_by_text("batch_size: 64").first.wait_for()
    tab.get_by_role("button", name="All runs").click()
    line(tab, "Pretrain lost").wait_for()


def test_two_runs_are_chosen_and_compared(runs: RunningApp, tab: Any) -> None:
    tab.goto(f"{runs.url}/runs")
    search = tab.get_by_placeholder("Search: part of a name, note or id")
    search.fill("pretrain")
    search.press("Enter")
    line(tab, "Stage").first.wait_for(state="detached")
    line(tab, "Pretrain narrow").get_by_role("checkbox").check()
    tab.get_by_role("button", name="Clear").wait_for()
    line(tab, "Pretrain wide").get_by_role("checkbox").check()
    tab.get_by_role("button", name="Compare 2 runs").click()
    tab.get_by_text("2 runs compared").wait_for()
    tab.locator(f'{CURVES}[data-step="60"]').wait_for()
    assert tab.locator(f"{CURVES} .legend > span").all_inner_texts() == ["Pretrain narrow", "Pretrain wide"]
    tab.get_by_text("Settings that differ").wait_for()
    tables = tab.locator('[data-testid="stDataFrame"]')
    tables.nth(1).wait_for()  # figures and settings; they are drawn after the words above them
    assert tables.count() == 2


def test_a_training_is_watched_stopped_resumed_and_killed(runs: RunningApp, signals: Cohort, tab: Any) -> None:
    home = open_home(runs.home)
    settings = PretrainSettings.model_validate(tiny(signals, epochs=100_000, device="cpu", validate_every=20) | {
        "data": {"signals": [str(signals.folder)], "splits": str(signals.splits)}
    })  # fmt: skip
    job = submit_pretrain(home, settings, submitted_by="ada")
    tab.goto(f"{runs.url}/runs?run={job.id}")
    first = step_beyond(tab, 0)
    moved = step_beyond(tab, first)
    tab.get_by_text(re.compile(r"step \d+ of .* left")).wait_for()
    tab.evaluate("node => { node.kept = true; }", tab.locator(CURVES).element_handle())

    tab.get_by_role("button", name="Stop the run").click()
    badge(tab, "stopped")
    tab.get_by_text("The checkpoint is kept").wait_for()
    assert tab.locator(CURVES).evaluate("node => node.kept"), "the curves were mounted anew"
    with Library(home) as library:
        assert library.jobs.get(job.id).state is JobState.STOPPED

    tab.get_by_role("button", name="Resume").click()
    badge(tab, "running")
    step_beyond(tab, moved)
    assert tab.locator(CURVES).evaluate("node => node.kept"), "the curves were mounted anew"

    tab.get_by_role("button", name="Kill …").click()
    tab.get_by_role("button", name="Kill it").click()
    tab.get_by_role("button", name="Resume").wait_for()
    with Library(home) as library:
        ended = library.jobs.get(job.id)
        assert (ended.state, ended.attempt) == (JobState.STOPPED, 2)
        assert not is_alive(ended.pid, ended.pid_started)
        written = [entry.action for entry in reversed(entries(library.connection, subject=job.id))]
    assert written == ["stop run", "resume run", "kill run"]
