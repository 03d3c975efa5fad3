"""How quick the review page is in a real browser: opening a study, turning a page, holding the key.

Needs Playwright and a Chromium, which only the test requirements bring; both are looked for when a measurement starts.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.library import Library
from sleepfm.viewer.assets import app_folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEWER = '[data-sleepfm="viewer"]'
DRAWN_TIMEOUT_MS = 20_000
STARTUP_S = 60.0

WATCH = """(viewer) => {
  // A key's time is when the browser got it. The pixels' time is an upper bound: when the second frame after the one that drew
  // them begins, the first is on the screen, whoever rasterises it.
  const log = { key: null, turns: [], drawn: [] };
  window.addEventListener("keydown", (event) => { log.key = event.timeStamp; }, { capture: true });
  new MutationObserver(() => {
    const epoch = viewer.dataset.drawnEpoch;
    const pressed = log.key;
    log.drawn.push([Number(epoch), performance.now()]);
    requestAnimationFrame(() => requestAnimationFrame(() => log.turns.push(performance.now() - pressed)));
  }).observe(viewer, { attributes: true, attributeFilter: ["data-drawn-epoch"] });
  window.sleepfmPaging = log;
}"""
"""Watches a viewer; `window.sleepfmPaging.turns` gets each page turn's time in ms."""


@dataclass(frozen=True)
class PagingTimes:
    """What was measured.

    Attributes
    ----------
    open_s
        From asking for the page's address to its first drawn epoch, one a visit.
    turn_ms
        From the key press to the pixels of the next epoch, one a page turn.
    held_epochs
        The epochs that were drawn while the key was held, in order.
    held_per_s
        How many of them a second.
    """

    open_s: tuple[float, ...]
    turn_ms: tuple[float, ...]
    held_epochs: tuple[int, ...]
    held_per_s: float


def write_paging_recording(path: Path, *, hours: float = 8.0, channels: int = 20, rate_hz: int = 256) -> None:
    """Write the benchmark's EDF: `channels` EEG-like signals at `rate_hz` (8 h of 20 at 256 Hz are 295 MB)."""
    from edfio import Edf, EdfSignal  # noqa: PLC0415 - only the benchmark writes EDF this way
    from scipy.signal import lfilter

    rng = np.random.default_rng(20)
    n = int(hours * 3600 * rate_hz)
    labels = [
        f"{site}-M{2 - k % 2}"
        for k, site in enumerate(("F3", "F4", "C3", "C4", "O1", "O2", "P3", "P4", "T3", "T4") * (channels // 10 + 1))
    ]
    signals = []
    for number in range(channels):
        x = lfilter([6.0], [1.0, -0.96], rng.standard_normal(n).astype(np.float32)).astype(np.float32)
        signals.append(
            EdfSignal(
                np.clip(x, -3000, 3000),
                rate_hz,
                label=f"{labels[number]} {number}"[:16],
                physical_dimension="uV",
                physical_range=(-3200, 3200),
            )
        )
    Edf(signals).write(path)


def find_chromium() -> str | None:
    """Return the Chromium to drive: `$SLEEPFM_CHROMIUM`, one on the path, else None (Playwright's own, if it was installed)."""
    return os.environ.get("SLEEPFM_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def bench_paging(folder: Path, *, hours: float = 8.0, visits: int = 5, turns: int = 60, hold_s: float = 5.0) -> PagingTimes:
    """Write the benchmark's recording into a folder, start the app on a library with it, and measure its review page.

    Parameters
    ----------
    folder
        An empty folder with 300 MB to spare.
    hours
        Length of the recording.
    visits, turns, hold_s
        As in `measure_paging`.

    Raises
    ------
    SleepFMError
        When the app does not come up.
    """
    recording = folder / "paging.edf"
    write_paging_recording(recording, hours=hours)
    with Library.open(folder / "home") as library:
        study = library.add(recording).id
    with running_app(folder / "home") as url:
        return measure_paging(f"{url}/review", study, visits=visits, turns=turns, hold_s=hold_s)


@contextmanager
def running_app(home: Path) -> Iterator[str]:
    """Run the app on a home folder in a process of its own; gives its address.

    Raises
    ------
    SleepFMError
        When it does not come up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "sleepfm", "app", "--port", str(port), "--home", str(home)]
    process = subprocess.Popen(command, cwd=app_folder(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + STARTUP_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SleepFMError(f"the app did not come up on {url}; `{' '.join(command[1:])}` shows why")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
            return True
    except OSError:
        return False


def measure_paging(address: str, study: str, *, visits: int = 5, turns: int = 60, hold_s: float = 5.0) -> PagingTimes:
    """Drive the review page of a running app.

    Parameters
    ----------
    address
        Of the page, without parameters: "http://127.0.0.1:8501/review".
    study
        Id of a study of the app's library.
    visits, turns, hold_s
        How often to open it, how many single page turns, how long to hold the key (s).

    Raises
    ------
    RequestError
        When Playwright is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a test requirement, see the module's docstring
    except ModuleNotFoundError:
        raise RequestError(
            "paging is measured with Playwright; install requirements-test.txt and a Chromium, then try again"
        ) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        open_s = []
        for visit in range(visits + 1):
            started = time.perf_counter()
            page.goto(f"{address}?study={study}&epoch={10 + visit}")
            page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{10 + visit}"]', timeout=DRAWN_TIMEOUT_MS)
            open_s.append(time.perf_counter() - started)
        montages = page.locator(VIEWER).get_by_label("Montage")
        montages.select_option(index=montages.locator("option").count() - 1)  # the last one shows every channel
        page.wait_for_timeout(500)
        page.locator(VIEWER).evaluate(WATCH)
        turn_ms = turn_pages(page, turns)
        held = _hold(page, hold_s)
        browser.close()
    # The first visit loads Streamlit itself into an empty cache and is not the opening of a study.
    times = [stamp for _, stamp in held]
    per_s = (len(held) - 1) / ((times[-1] - times[0]) / 1000) if len(held) > 1 else 0.0
    return PagingTimes(tuple(open_s[1:]), tuple(turn_ms), tuple(epoch for epoch, _ in held), per_s)


def turn_pages(page: Page, turns: int) -> list[float]:
    """Turn single pages of a watched viewer and return what each took (ms)."""
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(800)
    page.evaluate("sleepfmPaging.turns.length = 0")
    for number in range(turns):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"sleepfmPaging.turns.length > {number}", timeout=DRAWN_TIMEOUT_MS)
        page.wait_for_timeout(120)
    measured: list[float] = page.evaluate("sleepfmPaging.turns")
    return measured


def _hold(page: Page, hold_s: float) -> list[tuple[int, float]]:
    """Let the key repeat 30 times a second, as keyboards do."""
    page.evaluate("sleepfmPaging.drawn.length = 0")
    started = time.perf_counter()
    repeats = 0
    while (now := time.perf_counter() - started) < hold_s:
        page.keyboard.down("ArrowRight")
        repeats += 1
        time.sleep(max(0.0, repeats / 30 - now))
    drawn: list[list[float]] = page.evaluate("sleepfmPaging.drawn")
    page.keyboard.up("ArrowRight")
    return [(int(epoch), stamp) for epoch, stamp in drawn]
