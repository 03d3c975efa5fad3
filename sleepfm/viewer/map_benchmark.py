"""How quick the cohort map is with a million windows in a real browser: opening, moving, pointing, colouring, drawing a lasso.

Needs Playwright and a Chromium, which only the test requirements bring; both are looked for when a measurement starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleepfm.analysis.projection import Method
from sleepfm.errors import RequestError
from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.job_map import make_map
from sleepfm.library.library import Library
from sleepfm.library.maps import MapGrain, MapSpec
from sleepfm.progress import silent
from sleepfm.viewer.paging_benchmark import BROWSER_FLAGS, find_chromium, running_app
from sleepfm.vocabulary import WINDOW_S, Modality

if TYPE_CHECKING:
    from playwright.sync_api import Page

MAP = '[data-sleepfm="map"]'
ENCODER = "be" * 32
WIDTH = 16
TIMEOUT_MS = 60_000

_WATCH = """(map) => {
  // from the browser's getting an event to the second frame after the picture was drawn: by then it is on the screen
  const log = { began: null, took: [] };
  const seen = (event) => { log.began = event.timeStamp; };
  const names = ["pointermove", "pointerup", "wheel", "click", "input"];
  for (const name of names) window.addEventListener(name, seen, { capture: true });
  new MutationObserver(() => {
    const { began } = log;
    requestAnimationFrame(() => requestAnimationFrame(() => log.took.push(performance.now() - began)));
  }).observe(map, { attributes: true, attributeFilter: ["data-drawn", "data-hovered"] });
  window.sleepfmMap = log;
}"""


@dataclass(frozen=True)
class MapTimes:
    """What was measured.

    Attributes
    ----------
    points
        On the map.
    make_s
        The job: reading the index, fitting, placing, neighbours, writing.
    open_s
        From asking for the page's address to the first picture, one a visit.
    pan_ms, zoom_ms, hover_ms
        From an event to its pixels, one each.
    lasso_ms
        From letting go of the mouse to the selection's pixels; about a third of the points are inside.
    recolour_ms
        From choosing another colour, whose values are fetched, to its pixels.
    table_s
        From letting go of the mouse to the table of the selected studies.
    """

    points: int
    make_s: float
    open_s: tuple[float, ...]
    pan_ms: tuple[float, ...]
    zoom_ms: tuple[float, ...]
    hover_ms: tuple[float, ...]
    lasso_ms: tuple[float, ...]
    recolour_ms: tuple[float, ...]
    table_s: tuple[float, ...]


def write_map_library(home: Path, *, points: int = 1_000_000, studies: int = 1000) -> MapSpec:
    """Make a library of studies without recordings whose index holds `points` windows, and return what map is shown of it."""
    rng = np.random.default_rng(4)
    now = datetime.now(UTC).isoformat()
    windows = points // studies
    names = [f"night_{number:05d}" for number in range(studies)]
    with Library.open(home) as library:
        connection = library.connection
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO studies (id, path, format, duration_s, channels, modalities, problems, simulated, montage, size,"
            " mtime_ns, sha256, added_at) VALUES (?, ?, 'EDF', ?, 16, '{}', '[]', 1, '', 1, 1, ?, ?)",
            [(name, f"/nowhere/{name}.edf", windows * WINDOW_S, f"{k:064x}", now) for k, name in enumerate(names)],
        )
        connection.execute("COMMIT")
        ages = np.round(rng.uniform(20, 90, studies), 1)
        facts.store_many(
            library,
            {
                name: {
                    "subject": f"p{k // 2}",
                    "site": "ABCDE"[k // 2 % 5],
                    "age": str(ages[k]),
                    "sex": ("female", "male")[k % 2],
                }
                for k, name in enumerate(names)
            },
        )
        index = EmbeddingIndex(library, ENCODER)
        centres = rng.standard_normal((5, WIDTH))
        for k, name in enumerate(names):
            rows_we = rng.standard_normal((windows, WIDTH)) + centres[k // 2 % 5] + 0.3 * rng.standard_normal(WIDTH)
            index.add(name, Embeddings({Modality.BAS: rows_we.astype(np.float32)}, WINDOW_S, _origin(name, f"{k:064x}", windows)))
    return MapSpec(encoder=ENCODER, grain=MapGrain.WINDOW, method=Method.PCA)


def _origin(record: str, sha256: str, windows: int) -> EmbeddingOrigin:
    return EmbeddingOrigin(
        record_id=record,
        model="benchmark",
        weights_sha256=ENCODER,
        recipe="published",
        source_sha256=sha256,
        key="",
        duration_s=windows * WINDOW_S,
        last_window_tokens=60,
        gaps=(),
        channels={Modality.BAS: ("EEG",)},
        left_out=(),
        notes=(),
        device="cpu",
        precision="fp32",
        simulated=True,
        sleepfm_version="",
    )


def bench_map(folder: Path, *, points: int = 1_000_000, studies: int = 1000, repeats: int = 10) -> MapTimes:
    """Make the benchmark's library and map in a folder (400 MB), start the app on it, and measure its cohort page.

    Raises
    ------
    RequestError
        When Playwright is not installed.
    SleepFMError
        When the app does not come up.
    """
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a test requirement, see the module's docstring
    except ModuleNotFoundError:
        raise RequestError(
            "the map is measured with Playwright; install requirements-test.txt and a Chromium, then try again"
        ) from None
    home = folder / "home"
    spec = write_map_library(home, points=points, studies=studies)
    started = time.perf_counter()
    with Library.open(home) as library:
        made = make_map(library.home, {"spec": spec.model_dump(mode="json"), "anew": True}, silent)
    make_s = time.perf_counter() - started
    with running_app(home) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        open_s = [_open(page, f"{url}/cohort") for _ in range(3)]
        page.locator(MAP).evaluate(_WATCH)
        box = page.locator(f"{MAP} .stage").bounding_box()
        assert box is not None
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        hover_ms = _each(page, repeats, lambda k: page.mouse.move(middle[0] + 7 * k, middle[1] - 5 * k))
        page.mouse.move(*middle)
        page.mouse.down()
        pan_ms = _each(page, repeats, lambda k: page.mouse.move(middle[0] + 9 * (k + 1), middle[1] + 4 * (k + 1)))
        page.mouse.up()
        zoom_ms = _each(page, repeats, lambda k: page.mouse.wheel(0, -120 if k % 2 else 120))
        page.locator(MAP).get_by_role("button", name="Whole map").click()
        lassos = [_lasso(page, middle, 60 + 6 * k) for k in range(repeats // 2)]
        recolour_ms = _recolour(page, ("Age", "Sex", "Person", "Fitted or placed", "Site"))
        browser.close()
    return MapTimes(
        points=made["rows"],
        make_s=make_s,
        open_s=tuple(open_s),
        pan_ms=tuple(pan_ms),
        zoom_ms=tuple(zoom_ms),
        hover_ms=tuple(hover_ms),
        lasso_ms=tuple(ms for ms, _ in lassos),
        recolour_ms=tuple(recolour_ms),
        table_s=tuple(seconds for _, seconds in lassos),
    )


def _open(page: Page, address: str) -> float:
    started = time.perf_counter()
    page.goto(address)
    if not page.locator(f"{MAP}[data-colour]").count():
        # the page begins with nights; what is chosen on it does not stand in the address
        page.get_by_role("combobox", name="Points").click()
        page.get_by_role("option", name="window").click()
    page.wait_for_selector(f"{MAP}[data-colour]", timeout=TIMEOUT_MS)
    return time.perf_counter() - started


def _each(page: Page, repeats: int, act: Callable[[int], None]) -> list[float]:
    """Act several times and return how long each took to be seen."""
    times: list[float] = []
    for number in range(repeats):
        page.evaluate("sleepfmMap.took.length = 0")
        act(number)
        page.wait_for_function("sleepfmMap.took.length > 0", timeout=TIMEOUT_MS)
        times.append(page.evaluate("sleepfmMap.took[0]"))
        page.wait_for_timeout(100)
    return times


def _lasso(page: Page, middle: tuple[float, float], radius: float) -> tuple[float, float]:
    """Draw a circle of many corners; return how long the picture (ms) and the table (s) took."""
    page.locator(MAP).get_by_role("button", name="Lasso").click()
    angles = np.linspace(0, 2 * np.pi, 60)
    corners = [(middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)) for angle in angles]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner)
    page.evaluate("sleepfmMap.took.length = 0")
    before = page.get_by_text("Selected:").all_inner_texts()
    started = time.perf_counter()
    page.mouse.up()
    page.wait_for_function("sleepfmMap.took.length > 0", timeout=TIMEOUT_MS)
    shown_ms: float = page.evaluate("sleepfmMap.took[0]")
    while page.get_by_text("Selected:").all_inner_texts() in ([], before):
        page.wait_for_timeout(10)
    seconds = time.perf_counter() - started
    page.wait_for_timeout(300)
    return shown_ms, seconds


def _recolour(page: Page, titles: tuple[str, ...]) -> list[float]:
    """Choose colours."""
    times = []
    for title in titles:
        page.wait_for_timeout(700)  # the page draws its part of the colour before
        page.evaluate("sleepfmMap.took.length = 0")
        page.get_by_label("Colour by").select_option(label=title)
        page.wait_for_function("sleepfmMap.took.length > 0", timeout=TIMEOUT_MS)
        times.append(page.evaluate("sleepfmMap.took[0]"))
    return times
