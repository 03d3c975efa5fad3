"""A cohort as a map: made, coloured, selected with the mouse and the keyboard, kept as a subset and divided for fine-tuning."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app

from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.library.map_making import make
from sleepfm.library.maps import MapSpec, read_map
from tests.library.mapped_library import ENCODER, add_nights, mapped_library

pytestmark = pytest.mark.browser

MAP = '[data-sleepfm="map"]'
NIGHTS = MapSpec(encoder=ENCODER)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app whose library has an index, and a map of its nights."""
    folder = tmp_path_factory.mktemp("cohort")
    with mapped_library(folder, people=12) as library:
        make(library, NIGHTS)
    running = start_app(folder / "home", free_port())
    yield running
    stop_app(running)


def drawn(page: Any) -> None:
    page.locator(f"{MAP}[data-colour]").wait_for(timeout=90_000)


def selected(page: Any, count: int) -> None:
    """Wait until the browser and the server agree on how many are selected."""
    page.locator(f'{MAP}[data-selected="{count}"]').wait_for()
    page.get_by_text(re.compile(rf"Selected: {count} nights of {count} studies")).wait_for()


def place_of_first_night(app: RunningApp, box: dict[str, float]) -> tuple[float, float]:
    """Return where the whole map, fitted into its box with a margin, shows the first of its nights."""
    with Library.open(app.home) as library:
        stored = read_map(library.home, NIGHTS.identifier)
    assert stored is not None
    x_n, y_n = stored.x_n, stored.y_n
    scale = min((box["width"] - 52) / np.ptp(x_n), (box["height"] - 52) / np.ptp(y_n))
    right = scale * (x_n[0] - (x_n.min() + x_n.max()) / 2)
    up = scale * (y_n[0] - (y_n.min() + y_n.max()) / 2)
    return float(box["x"] + box["width"] / 2 + right), float(box["y"] + box["height"] / 2 - up)


def lasso_left_half(page: Any) -> int:
    page.locator(MAP).get_by_role("button", name="Lasso").click()
    box = page.locator(f"{MAP} .stage").bounding_box()
    left, top, width, height = (box[name] for name in ("x", "y", "width", "height"))
    corners = [(4, 4), (width / 2, 4), (width / 2, height - 4), (4, height - 4)]
    page.mouse.move(left + 4, top + 20)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(left + x, top + y, steps=6)
    page.mouse.up()
    page.locator(f'{MAP}:not([data-selected="0"])').wait_for()
    return int(page.locator(MAP).get_attribute("data-selected"))


def test_from_the_map_by_lasso_to_a_subset_and_a_split_with_people_apart(cohort: RunningApp, page: Any) -> None:
    page.goto(f"{cohort.url}/cohort")
    drawn(page)
    assert page.locator(MAP).get_attribute("data-colour") == "fact:site"
    assert page.locator(MAP).get_attribute("data-points") == "24"
    page.get_by_text("by chance").first.wait_for()

    count = lasso_left_half(page)
    assert 0 < count < 24
    selected(page, count)
    line = page.locator(f"{MAP} .legend").get_by_role("button", name=re.compile("^[AB]")).all_inner_texts()
    assert sum(int(text.split("/")[0].split()[-1]) for text in line) == count

    with page.expect_download() as picture:
        page.locator(MAP).get_by_role("button", name="PNG").click()
    width, height = struct.unpack(">II", Path(picture.value.path()).read_bytes()[16:24])
    assert picture.value.suggested_filename.endswith(".png")
    assert width > page.locator(f"{MAP} .points").bounding_box()["width"] > height / 2

    page.get_by_label("Name of the subset").fill("left half")
    page.get_by_role("button", name="Save subset").click()
    page.get_by_text(f"Saved left half: {count} studies").wait_for()
    page.get_by_role("button", name="Save and make a fine-tune split").click()
    page.get_by_text("divided it by person").wait_for()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download the split").click()
    written = json.loads((cohort.home / "splits" / "left half.json").read_text())
    assert json.loads(Path(coming.value.path()).read_text()) == written
    with Library.open(cohort.home) as library:
        kept = subsets.load(library, "left half").studies
        people = facts.people(library)
    assert len(kept) == count
    lists = {name: studies for name, studies in written.items() if studies}
    assert sorted(study for studies in lists.values() for study in studies) == sorted(kept)
    persons = [{people[study].subject for study in studies} for studies in lists.values()]
    assert len(persons) == 3
    assert sum(map(len, persons)) == len(set().union(*persons))


def test_everything_can_be_selected_from_the_keyboard_and_a_point_opens_its_night(cohort: RunningApp, page: Any) -> None:
    page.goto(f"{cohort.url}/cohort")
    drawn(page)
    stage = page.locator(f"{MAP} .stage")
    stage.focus()
    page.keyboard.press("a")
    selected(page, 24)
    page.keyboard.press("Escape")
    page.locator(f'{MAP}[data-selected="0"]').wait_for()

    site = page.locator(MAP).get_by_role("button", name="A", exact=False).filter(has_text=re.compile("^A"))
    site.focus()
    page.keyboard.press("Enter")
    selected(page, 12)
    assert site.get_attribute("aria-pressed") == "true"

    page.locator(MAP).get_by_label("Colour by").select_option(label="Age")
    page.locator(f'{MAP}[data-colour="fact:age"]').wait_for()
    selected(page, 12)  # another colour leaves the selection
    page.get_by_label("from (years)").fill("40")
    page.get_by_label("to (years)").fill("41")
    page.get_by_label("to (years)").press("Enter")
    selected(page, 4)
    page.get_by_text("in the same fifth of Age").wait_for()

    page.locator(MAP).get_by_role("button", name="Whole map").click()
    page.mouse.move(*place_of_first_night(cohort, stage.bounding_box()))
    study = page.locator(f"{MAP} .tooltip .study").inner_text()
    page.mouse.down()
    page.mouse.up()
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_url(f"**/review?study={study}*", timeout=20_000)


def test_a_table_brings_colours_and_new_nights_are_placed(cohort: RunningApp, page: Any) -> None:
    page.goto(f"{cohort.url}/cohort")
    drawn(page)
    page.get_by_role("button", name="Table").click()
    table = {"name": "wards.csv", "mimeType": "text/csv", "buffer": b"Study ID,Ward\np0-1,North\np1-1,South\n"}
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Take it into the library").click()
    page.get_by_text("2 studies of the library").wait_for()
    page.locator(MAP).get_by_label("Colour by").select_option(label="Ward")
    page.locator(MAP).get_by_role("button", name=re.compile("^North")).wait_for()
    assert "22" in page.locator(MAP).get_by_role("button", name=re.compile("^not known")).inner_text()

    with Library.open(cohort.home) as library:
        add_nights(library, cohort.home.parent / "edf", ["p12-1"])
    page.reload()
    page.get_by_text("1 study came since this map was made").wait_for()
    page.get_by_role("button", name="Place them on the map").click()
    page.locator(f'{MAP}[data-points="25"]').wait_for(timeout=60_000)
