"""What stands beside the map: colours for every eye, purity in words and as a figure, tables of a selection, uploads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from viewer.test_theme import VISION, lab, linear

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.library.map_columns import column
from sleepfm.library.map_making import make
from sleepfm.library.map_selection import studies_of
from sleepfm.library.maps import MapGrain, MapSpec, Standing, StoredMap
from sleepfm.viewer.map_colours import GROUP_COLOURS, OTHERS_COLOUR, RAMP, UNKNOWN_COLOUR
from sleepfm.viewer.map_component import axis_words
from sleepfm.viewer.map_encoders import map_encoders
from sleepfm.viewer.map_purity import column_purity, purity_figure, purity_words
from sleepfm.viewer.map_selection_table import balance_table, selection_table
from sleepfm.viewer.map_uploads import import_uploads, import_words
from sleepfm.viewer.map_words import made_words, standing_words
from tests.library.mapped_library import ENCODER, mapped_library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with mapped_library(tmp_path, people=20, nights=2, windows=2) as opened:
        yield opened


@pytest.fixture
def nights(library: Library) -> StoredMap:
    return make(library, MapSpec(encoder=ENCODER))


@pytest.mark.parametrize("vision", VISION)
def test_groups_stay_apart_for_every_eye(vision: str) -> None:
    colours = [lab(VISION[vision] @ linear(colour)) for colour in (*GROUP_COLOURS, OTHERS_COLOUR, UNKNOWN_COLOUR)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(colours[:4], 2)) > 20
    assert min(np.linalg.norm(a - b) for a, b in combinations(colours, 2)) > 15


@pytest.mark.parametrize("vision", VISION)
def test_the_ramp_gets_lighter_evenly_for_every_eye(vision: str) -> None:
    lightness = [lab(VISION[vision] @ linear(colour))[0] for colour in RAMP]
    steps = [b - a for a, b in pairwise(lightness)]
    assert min(steps) > 4
    assert max(steps) < 3 * min(steps)


def test_purity_says_share_chance_n_and_people(library: Library, nights: StoredMap) -> None:
    found = column_purity(nights, column(library, nights, "fact:site"))
    head, rest = purity_words(found, "nights")
    assert found.above_chance
    assert head.endswith("by chance 47 %")  # 18 of the 38 nights of other people
    assert "n = 40 nights of 20 people" in rest
    assert "one between sites" in rest
    figure = purity_figure(found)
    assert figure is not None
    assert list(figure.data[0].x) == [100 * (one[0].value or 0) for one in reversed(found.found.by_label.values())]
    assert figure.layout.xaxis.title.text == "share of neighbours (%)"
    for number, study in enumerate(nights.studies):
        facts.store(
            library, study, {"age": f"{30 + 0.123 * number:.3f}", "site": "a clinic of a long name" if number % 2 else "B"}
        )
    by_age = column_purity(nights, column(library, nights, "fact:age"))
    assert "in the same fifth of Age" in purity_words(by_age, "nights")[1]
    fifths = purity_figure(by_age)
    assert fifths is not None
    assert [words.rpartition(" (n ")[0] for words in reversed(fifths.layout.yaxis.ticktext)] == list(
        by_age.names
    )  # no number cut
    sites = purity_figure(column_purity(nights, column(library, nights, "fact:site")))
    assert sites is not None
    assert sites.layout.yaxis.ticktext[0] == "a clinic of a… (n 20)"


def test_one_site_has_no_purity_and_says_why(library: Library, nights: StoredMap) -> None:
    for study in nights.studies:
        facts.store(library, study, {"site": "A"})
    found = column_purity(nights, column(library, nights, "fact:site"))
    assert purity_words(found, "nights") == ("no purity", "fewer than two groups: there is nothing to tell apart")
    assert purity_figure(found) is None


def test_tables_say_what_is_not_known(library: Library, nights: StoredMap) -> None:
    facts.store(library, "p0-1", {"site": "", "age": "", "sex": "", "subject": ""})
    studies = studies_of(library, nights, nights.study_n < 2)
    table = selection_table(studies, MapGrain.NIGHT)
    assert table["Study"].tolist() == ["p0-1", "p0-2"]
    assert table["Site"].tolist() == ["not known", "A"]
    assert np.isnan(table["Age (years)"][0])
    assert list(selection_table(studies, MapGrain.WINDOW))[-2:] == ["Windows selected", "of"]
    assert len(selection_table([], MapGrain.NIGHT)) == 0


def test_the_balance_of_a_split_adds_up(library: Library) -> None:
    ids = [study.id for study in library.studies(limit=100)]
    subsets.save(library, "all", ids)
    split = subsets.split(library, "all")
    table = balance_table(split, facts.people(library)).set_index("List")
    assert table["Studies"].sum() == 40
    assert table["People"].sum() == 20
    assert table["Studies"]["train"] == 2 * table["People"]["train"]


def test_an_uploaded_table_becomes_columns_and_its_mistakes_are_named_by_its_name(library: Library) -> None:
    table = b"Study ID,Ward,Age\np0-1,North,51\np1-1,South,old\nnobody,South,50\n"
    ((name, done),) = import_uploads(library, {"my table.csv": table})
    words = import_words(name, done)
    assert "2 studies of the library" in words
    assert "1 row names no study" in words
    assert facts.column(library, "Ward") == {"p0-1": "North", "p1-1": "South"}
    assert [note.split(",")[0] for note in done.notes] == ["my table.csv"]
    with pytest.raises(SleepFMError, match=r"^broken\.csv"):
        import_uploads(library, {"broken.csv": b"Ward\nNorth\n"})


def test_follow_up_comes_as_a_pair(library: Library) -> None:
    files = {"is_event.csv": b"Study ID,401\np0-1,1\n", "time_to_event.csv": b"Study ID,401\np0-1,2.5\n"}
    ((_, done),) = import_uploads(library, files)
    assert done.outcomes == 1
    files["time_to_event.csv"] = b"Study ID,401\np0-1,800\n"
    ((_, odd),) = import_uploads(library, files)
    assert odd.notes[0].startswith("is_event.csv, line 2 (line 2 of time_to_event.csv)")  # no folder that nobody knows
    with pytest.raises(RequestError, match=r"^time_to_event\.csv"):
        import_uploads(library, {"is_event.csv": files["is_event.csv"]})


def test_axes_say_what_they_are(nights: StoredMap) -> None:
    words = axis_words(nights)
    assert len(words) == 2
    assert f"{100 * nights.explained[0]:.0f} % of the variance" in words[0]


def test_an_encoder_that_left_the_shelf_is_still_offered_by_its_hash(library: Library) -> None:
    (only,) = map_encoders(library)
    assert (only.weights_sha256, only.name, only.studies) == (ENCODER, None, 40)
    assert ENCODER[:12] in only.label


def test_what_changed_since_a_map_was_made_is_said_in_one_sentence(nights: StoredMap) -> None:
    as_it_was = Standing(new=(), gone=(), people_changed=False, scored_anew=0)
    assert standing_words(as_it_was, 0) == ""
    changed = Standing(new=("a",), gone=("b", "c"), people_changed=True, scored_anew=1)
    assert standing_words(changed, 1200) == (
        "1 study came since this map was made; 2 studies are gone; more is known of the people; 1 study has another scoring;"
        " 1,200 studies of the library not in this encoder's index."
    )
    placed_n = np.arange(nights.n) < 3
    words = made_words(replace(nights, placed_n=placed_n, left_out=1, thinned=7, empty_studies=(("x", "why"),)), "encoder")
    assert words.startswith("40 nights of 40 studies by encoder; 37 fitted; 3 placed (rings); 1 window left out")
    assert "7 windows not drawn" in words
    assert "1 study has no usable window" in words
