"""The page of neighbours in a real browser: from a clip in review to its neighbours and back, and the viewer's second opinion."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from explore_home import SHIPPED, explore_home
from make_edf import write_edf

from sleepfm.library.job_index import index
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.recording.fingerprint import fingerprint

pytestmark = pytest.mark.browser

SECONDS = 120_000
ENCODER = "demo-encoder"
VIEWER = '[data-sleepfm="viewer"]'
NIGHT = '[data-sleepfm="night"]'
CARD = '[data-sleepfm="clip"]'
NEIGHBOUR = f'{CARD}[data-role="neighbour"]'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with three indexed nights of a simulated cohort, one without ECG and one that is not indexed, all simulated."""
    folder = tmp_path_factory.mktemp("similar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
        home = explore_home(folder / "home", studies=4)
        with Library(home) as library:
            for name, labels in (("no-ecg", ("C4-M1", "E1-M2", "Chin", "Airflow")), ("fresh", ("C4-M1", "Airflow"))):
                study = library.add(write_edf(folder / f"{name}.edf", seconds=610, labels=labels))
                library.store_hash(study.id, fingerprint(study.path))
            # nights of one kind: simulated ones are no neighbours of real ones
            library.connection.execute("UPDATE studies SET simulated = 1")
        index(home, {"encoder": ENCODER, "studies": ["no-ecg"]}, silent)
        running = start_app(home.root, free_port())
    yield running
    stop_app(running)


def open_similar(tab: Any, app: RunningApp, address: str) -> None:
    tab.goto(f"{app.url}/similar?{address}&encoder={ENCODER}")
    tab.wait_for_selector(f"{NEIGHBOUR}[data-drawn]")


def clips(tab: Any, role: str = "neighbour") -> list[tuple[str, float]]:
    found = tab.locator(f'{CARD}[data-role="{role}"]').evaluate_all(
        "cards => cards.map(({ dataset }) => [dataset.study, Number(dataset.start)])"
    )
    return [(study, start) for study, start in found]


def inked(tab: Any, selector: str) -> float:
    """Return the share of a canvas's pixels that something was drawn on."""
    share: float = tab.locator(selector).first.evaluate(
        "node => { const canvas = node.querySelector('canvas'); const { width, height } = canvas;"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
        " let drawn = 0; for (let k = 3; k < data.length; k += 4) if (data[k]) drawn += 1; return drawn / (width * height); }"
    )
    return share


def test_from_a_clip_in_review_to_its_neighbours_and_to_one_of_them_in_review(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/review?study=sim-3-0001&epoch=15")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="15"]')
    box = tab.locator(f"{VIEWER} .panel").bounding_box()
    tab.mouse.click(box["x"] + 20, box["y"] + 20)  # the uppermost trace, an EEG
    tab.get_by_role("button", name="Similar").click()
    tab.wait_for_url("**/similar?study=sim-3-0001&at=300&query=BAS")
    # an encoder trained on simulated signals is used only when it is named
    tab.get_by_role("button", name=f"Use {ENCODER} for this simulated night").click()
    tab.wait_for_selector(f"{NEIGHBOUR}[data-drawn]")
    assert tab.get_by_text("trained on simulated signals: for trying the software only.").count() == 1
    assert tab.get_by_text("its own RESP ranks").is_visible()
    assert clips(tab, "asked") == [("sim-3-0001", 300.0)]
    found = clips(tab)
    assert len(found) == 8
    assert "sim-3-0001" not in {study for study, _ in found}
    assert inked(tab, NEIGHBOUR) > 0.02
    tab.get_by_text("Not enough other nights to compare").wait_for()  # the agreement of its modalities is judged too
    study, start = found[0]
    tab.locator(NEIGHBOUR).first.get_by_role("link").click()
    epoch = int(start // 30) + 1
    tab.wait_for_url(f"**/review?study={study}&epoch={epoch}")
    tab.wait_for_selector(f'{VIEWER}[data-study="{study}"][data-drawn-epoch="{epoch}"]')


def test_the_pages_of_explore_stand_in_a_menu_beside_the_choices(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/review?study=sim-3-0001")
    tab.wait_for_selector(f"{VIEWER}[data-drawn-epoch]")
    menu = tab.get_by_test_id("stTopNavSection").filter(has_text="Explore")
    study = tab.get_by_label("Study", exact=True)
    assert menu.bounding_box()["x"] + menu.bounding_box()["width"] <= study.bounding_box()["x"]
    assert abs(menu.bounding_box()["y"] - study.bounding_box()["y"]) < 20
    menu.click()
    for name in ("cohort", "risk", "similar"):
        tab.locator(f'a[href$="/{name}"]').wait_for()
    tab.locator('a[href$="/similar"]').click()
    tab.wait_for_url("**/similar*")
    tab.wait_for_selector(f"{NIGHT}[data-agreement]")
    marked = [
        one.evaluate("node => getComputedStyle(node).fontWeight") == "600" for one in tab.get_by_test_id("stTopNavSection").all()
    ]
    assert marked == [True, *[False] * (len(marked) - 1)]  # Explore, whose page is open


def test_arrow_keys_a_click_and_a_typed_time_choose_the_five_minutes(tab: Any, app: RunningApp) -> None:
    open_similar(tab, app, "study=sim-3-0001&at=300")
    night = tab.locator(NIGHT)
    night.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url("**at=600*")
    tab.wait_for_selector(f'{CARD}[data-role="asked"][data-start="600"][data-drawn]')
    box = night.locator("canvas.plot").bounding_box()
    tab.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 20)
    tab.wait_for_url("**at=1500*")
    time = tab.get_by_role("textbox", name="Time from the start")
    time.fill("0:20:10")
    time.press("Enter")
    tab.wait_for_url("**at=1200*")
    tab.wait_for_selector(f'{NIGHT}[data-at="1200"]')
    time.fill("soon")
    time.press("Enter")
    tab.get_by_text("'soon' is no time").wait_for()
    assert night.get_attribute("data-at") == "1200"


def test_several_clips_are_asked_with_as_their_mean(tab: Any, app: RunningApp) -> None:
    open_similar(tab, app, "study=sim-3-0001&at=300")
    assert tab.get_by_text("its own BAS ranks").is_visible()
    added = clips(tab)[0]
    tab.locator(NEIGHBOUR).first.get_by_role("button", name="Add").click()
    tab.get_by_text("its own BAS ranks").wait_for(state="detached")
    tab.wait_for_selector(f'{CARD}[data-role="asked"][data-study="{added[0]}"][data-drawn]')
    assert clips(tab, "asked") == [("sim-3-0001", 300.0), added]
    tab.get_by_role("button", name=f"{added[0]} at").click()
    tab.locator(f'{CARD}[data-role="asked"][data-study="{added[0]}"]').wait_for(state="detached")
    assert clips(tab, "asked") == [("sim-3-0001", 300.0)]
    tab.get_by_text("its own BAS ranks").wait_for()


def test_where_a_modality_is_missing_clips_can_be_borrowed_and_say_so(tab: Any, app: RunningApp) -> None:
    open_similar(tab, app, "study=no-ecg&at=0&query=RESP&target=EKG")
    tab.get_by_text("This night has no EKG.").wait_for()
    assert tab.locator('[data-sleepfm="borrowed"]').count() == 0
    tab.get_by_role("button", name="Show the EKG of its nearest neighbours in its place").click()
    borrowed = tab.locator('[data-sleepfm="borrowed"]')
    assert borrowed.get_by_text("borrowed from other nights, not measured in this one").is_visible()
    tab.wait_for_selector(f'{CARD}[data-role="borrowed"][data-drawn]')
    assert clips(tab, "borrowed") == clips(tab)[:3]


def test_the_neighbours_can_be_taken_along_as_a_table(tab: Any, app: RunningApp, tmp_path: Path) -> None:
    open_similar(tab, app, "study=sim-3-0002&at=600&query=EKG&target=RESP")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "taken.csv")
    with (tmp_path / "taken.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["study"], float(row["start_s"])) for row in rows] == clips(tab)
    assert {(row["query"], row["query_modality"], row["modality"]) for row in rows} == {("sim-3-0002@600", "EKG", "RESP")}


def test_a_night_that_is_not_indexed_says_how_to_index_it(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/similar?study=fresh&encoder={ENCODER}")
    tab.get_by_role("button", name="Index this study").wait_for()
    assert tab.get_by_text("fresh is not in the index of").is_visible()
    assert tab.locator(CARD).count() == 0


def test_the_second_opinion_follows_the_epoch(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/review?study=sim-3-0001&epoch=15")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="15"]')
    tab.keyboard.press("o")
    opinion = tab.locator('[data-sleepfm="second-opinion"]')
    opinion.get_by_role("button", name=f"Ask {ENCODER}").click()
    tab.wait_for_selector('[data-sleepfm="second-opinion"][data-state="done"][data-epoch="15"]')
    opinion.get_by_text("as staged in their simulated nights").wait_for()
    assert "epochs of 3 other people" in opinion.inner_text()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector('[data-sleepfm="second-opinion"][data-state="done"][data-epoch="16"]')
    tab.keyboard.press("o")
    opinion.wait_for(state="hidden")
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog", name="Keys").get_by_text("second opinion").is_visible()
