"""A night is finished: scored by keys, an event drawn, the server killed in between, all of it found again, and signed."""

from __future__ import annotations

import csv
import getpass
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from e2e.pointer import drag, row_of
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.library.review_log import log_csv, log_entries
from sleepfm.library.reviews import ReviewDocument, ReviewState, document
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Event, Scoring

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]

EPOCHS = 60
STUDY = "night"
ME = getpass.getuser()
VIEWER = '[data-sleepfm="viewer"]'
KEYS = "w123r"
SCORED = [number for _ in range(6) for number in range(5)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home with one night that an engine has staged as N2 throughout."""
    with Library.open(tmp_path / "home") as library:
        path = write_edf(tmp_path / f"{STUDY}.edf", seconds=EPOCHS * 30, labels=("C4-M1", "E1-M2", "Chin", "Airflow"))
        library.store_hash(library.add(path).id, fingerprint(path))
        about = {"label": "Engine", "note": "engine 1.0, weights 12ab", "source_sha256": fingerprint(path)}
        stages = np.full(EPOCHS, 2, dtype=np.int8)
        library.store_scoring(STUDY, Scoring(stages), engine="yasa", model="", provenance=about)
    return tmp_path / "home"


@pytest.fixture
def apps(home: Path) -> Iterator[list[RunningApp]]:
    """Give the apps that were started; what still runs at the end is stopped."""
    started = [start_app(home, free_port())]
    yield started
    for app in started:
        if app.process.poll() is None:
            stop_app(app)


def review(home: Path) -> ReviewDocument:
    with Library.open(home) as library:
        return document(library, next(one.id for one in library.scorings(STUDY) if one.by_person))


def wait_drawn(page: Any, epoch: int) -> None:
    page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"][data-epoch="{epoch}"]')


def wait_stored(page: Any) -> None:
    page.wait_for_selector(f'{VIEWER}[data-unsaved="0"]')


def five_minutes(page: Any, epoch: int) -> None:
    wait_drawn(page, epoch)
    page.locator(VIEWER).get_by_label("Time on the screen").select_option("5 min")
    page.wait_for_selector(f'{VIEWER}[data-drawn-span="300"]')


def test_a_night_is_scored_over_a_killed_server_and_signed(apps: list[RunningApp], home: Path, page: Any) -> None:
    page.set_default_timeout(90_000)
    page.add_init_script("localStorage.setItem('sleepfm.viewer.tour', 'seen')")
    page.goto(f"{apps[0].url}/review?study={STUDY}&epoch=1")
    wait_drawn(page, 1)
    page.get_by_role("button", name="Score", exact=True).click()
    page.locator(VIEWER).get_by_text(f"Scoring as {ME}").wait_for()
    page.locator(VIEWER).click(position={"x": 600, "y": 500})
    thirty_epochs_and_five_back(page, home)
    event = an_event_drawn_and_moved(page, home)
    apps.append(two_epochs_while_the_server_is_dead(page, home, apps[0]))
    the_event_deleted_and_back(page, home, apps[1].url, event)
    the_log_tells_it(home)
    signed_and_locked(page, home, apps[1].url)


def thirty_epochs_and_five_back(page: Any, home: Path) -> None:
    for number in SCORED:
        page.keyboard.press(KEYS[number])
    wait_drawn(page, 31)
    for _ in range(5):
        page.keyboard.press("Control+z")
    wait_stored(page)
    assert review(home).stages[:30].tolist() == [*SCORED[:25], 2, 2, 2, 2, 2]


def an_event_drawn_and_moved(page: Any, home: Path) -> Event:
    page.keyboard.press("Home")
    five_minutes(page, 1)
    y = row_of(page, "Airflow")
    page.keyboard.press("e")
    drag(page, y, 60, 80)
    wait_stored(page)
    drag(page, y, 70, 130)  # all of it
    wait_stored(page)
    (event,) = review(home).events.values()
    assert (event.name, event.channel, event.source) == ("Hypopnea", "Airflow", ME)
    assert (event.start_s, event.stop_s) == (pytest.approx(120, abs=1), pytest.approx(140, abs=1))
    return event


def two_epochs_while_the_server_is_dead(page: Any, home: Path, app: RunningApp) -> RunningApp:
    os.kill(app.process.pid, signal.SIGKILL)
    app.process.wait(timeout=10)
    page.keyboard.press("r")
    page.keyboard.press("r")
    page.wait_for_selector(f'{VIEWER}[data-unsaved="2"]')
    assert review(home).stages[:2].tolist() == SCORED[:2]
    again = start_app(home, int(app.url.rpartition(":")[2]))
    wait_stored(page)  # what waited is stored by itself
    assert review(home).stages[:30].tolist() == [4, 4, *SCORED[2:25], 2, 2, 2, 2, 2]
    return again


def the_event_deleted_and_back(page: Any, home: Path, url: str, event: Event) -> None:
    page.goto(f"{url}/review?study={STUDY}&epoch=3")
    wait_drawn(page, 3)
    page.locator(VIEWER).get_by_text(f"Scoring as {ME}").wait_for()
    five_minutes(page, 3)
    page.keyboard.press("j")  # the next event is gone to and selected
    page.keyboard.press("Delete")
    wait_stored(page)
    assert review(home).events == {}
    page.keyboard.press("Control+z")
    wait_stored(page)
    assert list(review(home).events.values()) == [event]


def the_log_tells_it(home: Path) -> None:
    """Who, when, what, from what to what, on whose proposal."""
    scoring = review(home).review.scoring
    with Library.open(home) as library:
        told = [(entry.action, entry.user) for entry in reversed(log_entries(library, scoring, limit=1000))]
        rows = list(csv.DictReader(io.StringIO(log_csv(library, scoring).decode("utf-8-sig"))))
    actions = [action for action, _ in told if action in ("score", "undo", "event")]
    assert actions == [*["score"] * 30, *["undo"] * 5, "event", "event", "score", "score", "event", "undo"]
    assert {user for _, user in told} == {ME}
    assert any("Engine" in cell for row in rows for cell in row.values() if cell)


def signed_and_locked(page: Any, home: Path, url: str) -> None:
    page.goto(f"{url}/finish?study={STUDY}")
    page.get_by_text("Sign-off", exact=True).click()
    page.get_by_text("I have reviewed this scoring").click()
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text(f"Signed by {ME}").first.wait_for()
    assert review(home).review.state is ReviewState.SIGNED
    page.goto(f"{url}/review?study={STUDY}&epoch=1")
    wait_drawn(page, 1)
    page.keyboard.press("1")
    page.locator(VIEWER).get_by_text("signed").first.wait_for()
    assert review(home).stages[:2].tolist() == [4, 4]
