"""Events in the viewer, in a real browser over a library with reviews: made, changed and found with pointer and keys."""

from __future__ import annotations

import csv
import getpass
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from e2e.pointer import CANVAS, drag, place, row_of

from sleepfm.analysis.event_indices import counted_in_sleep, made_ready
from sleepfm.analysis.night_span import night_span
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.reviews import document
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.vocabulary import EventName

pytestmark = pytest.mark.browser

ME = getpass.getuser()
EPOCHS = 80
SECONDS = EPOCHS * 30
VIEWER = '[data-sleepfm="viewer"]'
TABLE = '[data-sleepfm="events"]'
ROWS = f"{TABLE} .events-body .event-row:not([hidden])"
MANY = 10_000
HOSTILE = '<img src=x onerror="document.title=1">'
FORMULA = "=1+1"
ASSETS = Path(__file__).parents[2] / "assets"


def write_recording(path: Path) -> Path:
    """Write brain, breathing and leg signals, and a saturation of 96 % that falls to 88 % between 100 and 120 s."""
    generator = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(
            generator.normal(0, 20, SECONDS * 64), 64, label=label, physical_dimension="uV", physical_range=(-500, 500)
        )
        for label in ("C4-M1", "Airflow", "EMG LAT")
    ]
    saturation = np.interp(np.arange(SECONDS), [100, 110, 120], [96, 88, 96])
    signals.append(edfio.EdfSignal(saturation, 1, label="SpO2", physical_dimension="%", physical_range=(0, 100)))
    edfio.Edf(signals, starttime=time(22, 30)).write(path)
    return path


def many_events() -> list[Event]:
    starts = np.sort(np.random.default_rng(1).uniform(0, SECONDS - 40, MANY)).round(1)
    names = ("Hypopnea", "Arousal", "Desaturation", "Leg movement", "Central apnea")
    channels = (HOSTILE, "C4-M1", "SpO2", FORMULA, "")
    return [
        Event(float(start), float(start) + 5.0 + at % 20, names[at % 5], channels[at % 5], "engine", {})
        for at, start in enumerate(starts)
    ]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("events")
    stages = np.repeat(np.array([0, 2, 3, 4], dtype=np.int8), EPOCHS // 4)
    about = {"label": "Engine", "note": "", "source_sha256": "0" * 64}
    with Library.open(folder / "home") as library:
        for name in ("night", "crowded", "looked"):
            study = library.add(write_recording(folder / f"{name}.edf")).id
            library.store_hash(study, "0" * 64)
            library.store_scoring(study, Scoring(stages), engine="engine", model="", provenance=about)
        store_events(library, "crowded", many_events(), engine="psgscoring", model="", provenance=about)
        for name in ("night", "crowded"):
            begin(library, name, scorer=ME, user=ME, base=library.scorings(name)[0].id)
    running = start_app(folder / "home", free_port())
    yield running
    stop_app(running)


@pytest.fixture(scope="module", autouse=True)
def used_before(tab: Any) -> None:
    """Let the browser remember the tour and five minutes on the screen."""
    tab.add_init_script(
        """localStorage.setItem("sleepfm.viewer.tour", "seen");
        localStorage.setItem("sleepfm.viewer", JSON.stringify({ spanIndex: 5 }));"""
    )


def open_study(tab: Any, app: RunningApp, study: str, epoch: int = 1) -> Any:
    """Open a study with five minutes on the screen."""
    tab.goto(f"{app.url}/review?study={study}&epoch={epoch}")
    tab.wait_for_selector(f'{VIEWER}[data-study="{study}"][data-drawn-epoch="{epoch}"]')
    viewer = tab.locator(VIEWER)
    assert viewer.get_by_label("Time on the screen").input_value() == "5 min"
    return viewer


def stored(app: RunningApp, study: str) -> list[Event]:
    with Library.open(app.home) as library:
        events = document(library, library.scorings(study)[0].id).events
    return list(events.values())


def wait_stored(tab: Any) -> None:
    tab.wait_for_selector(f'{VIEWER}[data-unsaved="0"]')


def test_an_event_is_made_stretched_moved_renamed_deleted_and_comes_back(tab: Any, app: RunningApp) -> None:
    viewer = open_study(tab, app, "night")
    y = row_of(tab, "Airflow")
    drag(tab, y, 60, 80)  # without the tool a drag makes nothing
    tab.keyboard.press("e")
    drag(tab, y, 60, 80, release=False)
    assert viewer.get_by_text("Hypopnea · 22:31:00").is_visible()
    tab.keyboard.press("Escape")
    tab.mouse.up()
    wait_stored(tab)
    assert stored(app, "night") == []

    def only() -> tuple[str, str, float, float]:
        wait_stored(tab)
        (event,) = stored(app, "night")
        assert event.start_s * 10 == pytest.approx(round(event.start_s * 10))
        assert event.source == ME
        return event.name, event.channel, event.start_s, event.stop_s

    drag(tab, y, 60, 80)
    assert only() == ("Hypopnea", "Airflow", pytest.approx(60, abs=0.5), pytest.approx(80, abs=0.5))
    drag(tab, y, 80, 95)  # its end
    assert only() == ("Hypopnea", "Airflow", pytest.approx(60, abs=0.5), pytest.approx(95, abs=0.5))
    drag(tab, y, 75, 105)  # all of it
    assert only() == ("Hypopnea", "Airflow", pytest.approx(90, abs=0.8), pytest.approx(125, abs=0.8))
    before = only()
    tab.keyboard.press(".")
    assert only() == (*before[:2], pytest.approx(before[2] + 0.1), pytest.approx(before[3] + 0.1))
    tab.keyboard.press("Enter")
    tab.get_by_role("dialog", name="Kind and channel").wait_for()
    tab.keyboard.press("o")
    assert only()[0] == "Obstructive apnea"
    drag(tab, y, 200, 215)
    wait_stored(tab)
    assert [event.name for event in stored(app, "night")] == ["Obstructive apnea"] * 2  # the next one there is called the same
    tab.keyboard.press("Delete")
    assert only()[2] == pytest.approx(90.1, abs=0.8)
    tab.keyboard.press("Control+z")
    wait_stored(tab)
    assert len(stored(app, "night")) == 2
    tab.mouse.click(*place(tab, 207, y), button="right")
    tab.get_by_role("button", name="Delete event").click()
    assert only()[2] == pytest.approx(90.1, abs=0.8)


def test_a_desaturation_is_measured_and_a_short_arousal_is_remarked_on(tab: Any, app: RunningApp) -> None:
    viewer = open_study(tab, app, "night")
    tab.keyboard.press("e")
    drag(tab, row_of(tab, "SpO2"), 95, 125)
    wait_stored(tab)
    (fall,) = [event for event in stored(app, "night") if event.name == "Desaturation"]
    assert fall.extra == {"Desaturation": 8.0, "NadirSpO2": 88.0}
    y = row_of(tab, "C4-M1")
    drag(tab, y, 20, 22, release=False)
    viewer.locator(".event-drag").get_by_text("shorter than 3 s (AASM)").wait_for()
    tab.mouse.up()
    wait_stored(tab)
    tab.mouse.move(*place(tab, 21, y))
    said = tab.locator(CANVAS).get_attribute("title")
    assert said.splitlines()[0].startswith("Arousal · 2.0 s · 22:30:2")
    assert "Marked, not counted: no part of it lies in sleep." in said  # the first quarter of the night is wake


def test_the_lights_go_off_by_key_and_are_dragged_to_the_second(tab: Any, app: RunningApp) -> None:
    open_study(tab, app, "night", 3)
    tab.keyboard.press("l")

    def off() -> float:
        wait_stored(tab)
        (mark,) = [event for event in stored(app, "night") if event.name == "Lights off"]
        assert mark.start_s == mark.stop_s
        return mark.start_s

    assert off() == 60
    foot = tab.locator(CANVAS).bounding_box()["height"] - 32 - 10
    drag(tab, foot, 58, 71.2)
    assert off() == pytest.approx(73.2, abs=0.5)
    tab.keyboard.press("Control+z")
    assert off() == 60


def test_without_a_review_events_are_only_looked_at(tab: Any, app: RunningApp) -> None:
    viewer = open_study(tab, app, "looked")
    tab.keyboard.press("e")
    viewer.get_by_text("Events can be made and changed while you score").wait_for()
    tab.keyboard.press("v")
    viewer.get_by_text("No events on this night.").wait_for()


def test_ten_thousand_events_are_listed_sifted_and_gone_to(tab: Any, app: RunningApp, tmp_path: Path) -> None:
    viewer = open_study(tab, app, "crowded")
    tab.keyboard.press("v")
    table = tab.locator(TABLE)
    table.get_by_text(f"{MANY:,} events").wait_for()
    assert tab.locator(ROWS).count() < 60  # only those in sight exist
    for epoch in range(2, 8):
        tab.keyboard.press("ArrowRight")
        tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"]')
    assert table.get_by_text(HOSTILE).first.is_visible()
    assert table.locator("img").count() == 0

    table.get_by_label("Kind of event").select_option(label=f"Arousal ({MANY // 5})")
    table.get_by_text(f"{MANY // 5:,} of {MANY:,} events").wait_for()
    table.get_by_label("Stage in which it starts").select_option(value="is N3")
    events = sorted(many_events(), key=lambda event: event.start_s)
    expected = [event for event in events if event.name == "Arousal" and 40 <= event.start_s // 30 < 60]
    table.get_by_text(f"{len(expected):,} of {MANY:,} events").wait_for()
    tab.locator(ROWS).nth(5).click()
    epochs = [int(event.start_s // 30) + 1 for event in expected]
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epochs[5]}"]')
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")  # the traces have the keys again
    tab.keyboard.press("j")
    viewer.get_by_text(f"Event 8 of {len(expected)} in the table").wait_for()
    tab.keyboard.press("Shift+J")
    viewer.get_by_text(f"Event 7 of {len(expected)} in the table").wait_for()
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epochs[6]}"]')

    tab.keyboard.press("Delete")
    table.get_by_text(f"{len(expected) - 1:,} of {MANY - 1:,} events").wait_for()
    wait_stored(tab)
    assert len(stored(app, "crowded")) == MANY - 1
    table.get_by_label("Kind of event").select_option(index=0)
    table.get_by_label("Stage in which it starts").select_option(index=0)
    table.get_by_label("Find in events").fill("=1+")
    table.get_by_text(f"{MANY // 5:,} of {MANY - 1:,} events").wait_for()
    with tab.expect_download() as download:
        table.get_by_role("button", name="CSV").click()
    file = tmp_path / "events.csv"
    download.value.save_as(file)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    movements = [event for event in events if event.name == "Leg movement"]
    assert [(float(row["Start"]), row["Event"]) for row in rows] == [(event.start_s, "Leg movement") for event in movements]
    assert {row["Channel"] for row in rows} == {f"'{FORMULA}"}  # no spreadsheet computes it
    assert {row["Counts"] for row in rows} == {"in wake", "yes"}


def any_events(generator: np.random.Generator, count: int) -> list[Event]:
    """Return events of all kinds, some as long as the night, and a pair of marks for the lights."""
    names = [name.value for name in EventName if not name.startswith("Lights")]
    events = [Event(95.0, 95.0, "Lights off"), Event(SECONDS - 200.5, SECONDS - 200.5, "Lights on")]
    for at in range(count):
        start = round(float(generator.uniform(0, SECONDS - 1)), 1)
        stop = min(float(SECONDS), start + round(float(generator.exponential(400 if at % 50 == 0 else 15)), 1))
        extra: dict[str, float | str] = {"Desaturation": float(generator.integers(1, 7))} if at % 3 else {}
        events.append(Event(start, stop, names[at % len(names)], "", "", extra))
    return sorted(events, key=lambda event: event.start_s)


def test_the_browser_finds_and_counts_events_as_python_does(tab: Any, app: RunningApp) -> None:
    generator = np.random.default_rng(7)
    events = any_events(generator, 600)
    stages = generator.integers(-1, 5, EPOCHS).astype(np.int8)
    stages[10:30] = 0
    windows = [(float(start), float(start + generator.uniform(0.1, 300))) for start in generator.uniform(-50, SECONDS + 50, 200)]
    tab.goto(f"{app.url}{asset_url(ASSETS, 'viewer/event_index.js')}")
    found, counted = tab.evaluate(
        """async ([events, stages, windows, indexing, counting]) => {
          const { EventIndex } = await import(indexing);
          const { counting: judge } = await import(counting);
          const index = new EventIndex(events);
          const counts = {};
          for (const event of index.events) {
            const { isCounted } = judge(event, (seconds) => stages[Math.floor(seconds / 30)], index.lights);
            counts[event.name] = (counts[event.name] ?? 0) + Number(isCounted);
          }
          return [windows.map(([start, stop]) => index.within(start, stop).map(({ id }) => id)), counts];
        }""",
        [
            [
                {"id": at, "start": one.start_s, "stop": one.stop_s, "name": one.name, "extra": one.extra}
                for at, one in enumerate(events)
            ],
            stages.tolist(),
            windows,
            asset_url(ASSETS, "viewer/event_index.js"),
            asset_url(ASSETS, "viewer/event_counting.js"),
        ],
    )
    assert found == [
        [
            at
            for at, one in enumerate(events)
            if not one.name.startswith("Lights") and one.start_s < stop and max(one.stop_s, one.start_s + 0.01) > start
        ]
        for start, stop in windows
    ]
    span = night_span(EPOCHS, events)
    python = counted_in_sleep(stages[None], span, made_ready(events, span))
    breathing = ("Obstructive apnea", "Central apnea", "Mixed apnea", "Hypopnea", "RERA")
    expected = {name: int(python[name][0]) for name in breathing}
    expected |= {
        "Arousal": int(python["arousals"][0]),
        "Desaturation": int(python["odi3"][0]),
        "PLM": int(python["plm_marked"][0]),
    }
    assert {name: counted[name] for name in expected} == expected


def test_times_stay_inside_the_recording_in_tenths_and_untouched_ends_stay(tab: Any, app: RunningApp) -> None:
    generator = np.random.default_rng(11)
    cases = []
    for _ in range(400):
        duration = float(generator.choice([2400.0, 95.3, 61.27, 30.0]))
        start, stop = sorted(float(one) for one in generator.uniform(0, duration, 2).round(2))
        cases.append(
            {"start": start, "stop": stop + 0.11, "at": float(generator.uniform(-50, duration + 50)), "duration": duration + 0.2}
        )
    tab.goto(f"{app.url}{asset_url(ASSETS, 'viewer/event_times.js')}")
    results = tab.evaluate(
        """async ([cases, path]) => {
          const { moved, point, spanning, withEdge } = await import(path);
          return cases.map(({ at, duration, ...event }) => [
            spanning(event.start, at, duration), withEdge(event, "start", at, duration), withEdge(event, "stop", at, duration),
            moved(event, at - event.start, duration), point(at, duration),
          ].map(({ start, stop }) => [start, stop]));
        }""",
        [cases, asset_url(ASSETS, "viewer/event_times.js")],
    )
    for case, (new, left, right, elsewhere, single) in zip(cases, results, strict=True):
        for start, stop in (new, left, right, elsewhere):
            assert 0 <= start < stop <= case["duration"]
        assert [one * 10 for one in new] == pytest.approx([round(one * 10) for one in new])
        assert case["stop"] in left  # the end that was not taken hold of
        assert case["start"] in right
        assert elsewhere[1] - elsewhere[0] == pytest.approx(case["stop"] - case["start"], abs=2e-3)
        assert 0 <= single[0] == single[1] <= case["duration"]
