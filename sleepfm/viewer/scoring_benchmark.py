"""How quick scoring is in a real browser: from a stage's key to the stored edit and the next picture; paging with many events.

Needs Playwright and a Chromium, as `sleepfm.viewer.paging_benchmark` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.paging_benchmark import (
    BROWSER_FLAGS,
    DRAWN_TIMEOUT_MS,
    VIEWER,
    WATCH,
    find_chromium,
    running_app,
    turn_pages,
    write_paging_recording,
)
from sleepfm.viewer.signed_in import local_user
from sleepfm.vocabulary import EPOCH_S, EventName

if TYPE_CHECKING:
    from playwright.sync_api import Page

ENGINE = "benchmark"
_SHA256 = "0" * 64
_NAMES = (EventName.HYPOPNEA, EventName.OBSTRUCTIVE_APNEA, EventName.AROUSAL, EventName.DESATURATION, EventName.LEG_MOVEMENT)
_KEYS = "123rw"

_WATCH_EDITS = """(viewer) => {
  // An edit is stored when the viewer, having counted it as not stored, counts nothing any more: the server has answered then.
  const log = { key: null, edits: [], open: null };
  window.addEventListener("keydown", (event) => {
    log.key = event.timeStamp;
    log.open = { drawn: null, stored: null };
  }, { capture: true });
  const end = () => {
    const { open } = log;
    if (!open || open.drawn === null || open.stored === null) return;
    log.open = null;
    log.edits.push([open.stored, open.drawn]);
  };
  new MutationObserver((changes) => {
    const { key, open } = log;
    if (!open) return;
    for (const { attributeName } of changes) {
      if (attributeName === "data-unsaved" && viewer.dataset.unsaved === "0") open.stored = performance.now() - key;
      if (attributeName === "data-drawn-epoch") {
        requestAnimationFrame(() => requestAnimationFrame(() => { open.drawn = performance.now() - key; end(); }));
      }
    }
    end();
  }).observe(viewer, { attributes: true, attributeFilter: ["data-drawn-epoch", "data-unsaved"] });
  window.sleepfmScoring = log;
}"""


@dataclass(frozen=True)
class ScoringTimes:
    """What was measured; one value a key or a visit.

    Attributes
    ----------
    key_ms
        From a stage's key to whatever came last: the server's word that the edit is stored, or the next epoch's pixels.
    stored_ms, drawn_ms
        The two of them.
    turn_ms, turn_with_events_ms
        A page turn of the night without and with many events.
    open_with_events_s
        From asking for the page's address to its first drawn epoch, with the events.
    """

    key_ms: tuple[float, ...]
    stored_ms: tuple[float, ...]
    drawn_ms: tuple[float, ...]
    turn_ms: tuple[float, ...]
    turn_with_events_ms: tuple[float, ...]
    open_with_events_s: tuple[float, ...]


def bench_scoring(
    folder: Path, *, hours: float = 8.0, keys: int = 60, turns: int = 60, events: int = 10_000, visits: int = 3
) -> ScoringTimes:
    """Write a recording of 20 channels into a folder, start the app on a library with it, score and page through it.

    Parameters
    ----------
    folder
        An empty folder with 300 MB to spare.
    hours
        Length of the recording.
    keys, turns
        How many stage keys, how many page turns (each time).
    events
        How many events the night has the second time.
    visits
        How often it is opened with them.

    Raises
    ------
    RequestError
        When Playwright is not installed.
    SleepFMError
        When the app does not come up.
    """
    recording = folder / "scoring.edf"
    write_paging_recording(recording, hours=hours)
    with Library.open(folder / "home") as library:
        study, scoring = _begin(library, recording)
    with running_app(folder / "home") as url, _browser() as page:
        address = f"{url}/review?study={study}"
        _open(page, address, 10)
        _show_all(page)
        both = _score(page, keys)
        _open(page, address, 10)
        _show_all(page)
        page.locator(VIEWER).evaluate(WATCH)
        plain = turn_pages(page, turns)
        with Library.open(folder / "home") as library:
            _add_events(library, study, scoring, events)
        opened = [_open(page, address, 11 + visit) for visit in range(visits)]
        _show_all(page)
        page.locator(VIEWER).evaluate(WATCH)
        crowded = turn_pages(page, turns)
    stored, drawn = zip(*both, strict=True)
    return ScoringTimes(tuple(max(one) for one in both), stored, drawn, tuple(plain), tuple(crowded), tuple(opened))


def _begin(library: Library, recording: Path) -> tuple[str, int]:
    """Add the recording with an engine's scoring, and begin a review of it."""
    study = library.add(recording)
    library.store_hash(study.id, _SHA256)
    epochs = int(study.duration_s / EPOCH_S)
    rng = np.random.default_rng(6)
    stages_e = np.repeat(rng.integers(0, 5, epochs // 10 + 1), 10)[:epochs].astype(np.int8)
    shares_e5 = rng.dirichlet(np.ones(5), epochs).astype(np.float32)
    about = {"label": "Engine", "note": "", "source_sha256": _SHA256}
    base = library.store_scoring(study.id, Scoring(stages_e, shares_e5), engine="yasa", model="", provenance=about)
    me = local_user().name
    return study.id, begin(library, study.id, scorer=me, user=me, base=base)


def _add_events(library: Library, study: str, scoring: int, count: int) -> None:
    """Give the review as many events, spread over the night."""
    duration_s = library.study(study).duration_s
    rng = np.random.default_rng(7)
    onsets = np.sort(rng.uniform(0, duration_s - 40, count)).round(1)
    lengths = rng.uniform(3, 30, count).round(1)
    events = [
        Event(float(onset), float(onset + length), _NAMES[number % len(_NAMES)], "C3-M2", ENGINE)
        for number, (onset, length) in enumerate(zip(onsets, lengths, strict=True))
    ]
    about = {"label": "Events", "note": "", "source_sha256": _SHA256}
    number = store_events(library, study, events, engine=ENGINE, model="", provenance=about)
    apply_edits(library, scoring, [Edit("take", "take events", events=number)], user=local_user().name)


@contextmanager
def _browser() -> Iterator[Page]:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a test requirement, see the module's docstring
    except ModuleNotFoundError:
        raise RequestError(
            "scoring is measured with Playwright; install requirements-test.txt and a Chromium, then try again"
        ) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        yield browser.new_page(viewport={"width": 1366, "height": 768})
        browser.close()


def _open(page: Page, address: str, epoch: int) -> float:
    """Open the page at an epoch; returns how long it took (s)."""
    started = time.perf_counter()
    page.goto(f"{address}&epoch={epoch}")
    page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"]', timeout=DRAWN_TIMEOUT_MS)
    return time.perf_counter() - started


def _show_all(page: Page) -> None:
    """Show every channel."""
    montages = page.locator(VIEWER).get_by_label("Montage")
    montages.select_option(index=montages.locator("option").count() - 1)
    page.wait_for_timeout(500)


def _score(page: Page, keys: int) -> list[tuple[float, float]]:
    """Press stage keys, each when the one before is stored and drawn; returns when each was stored and drawn (ms)."""
    viewer = page.locator(VIEWER)
    viewer.evaluate(_WATCH_EDITS)
    page.keyboard.press("2")
    page.wait_for_function("sleepfmScoring.edits.length > 0", timeout=DRAWN_TIMEOUT_MS)
    page.wait_for_timeout(800)
    page.evaluate("sleepfmScoring.edits.length = 0")
    for number in range(keys):
        page.keyboard.press(_KEYS[number % len(_KEYS)])
        page.wait_for_function(f"sleepfmScoring.edits.length > {number}", timeout=DRAWN_TIMEOUT_MS)
        page.wait_for_timeout(150)
    if viewer.get_attribute("data-unsaved") != "0":
        raise SleepFMError("an edit of the benchmark was not stored")
    measured: list[tuple[float, float]] = page.evaluate("sleepfmScoring.edits")
    return measured
