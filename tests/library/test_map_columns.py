"""What a map is coloured by, and what a selection of it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.inference.risk import night_risk
from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.library.map_columns import MISSING, MapColumn, choices, column
from sleepfm.library.map_making import make
from sleepfm.library.map_selection import Selection, read_selection, rows_of, selection_csv, studies_of
from sleepfm.library.maps import MapGrain, MapSpec, StoredMap
from sleepfm.library.risks import store
from tests.inference.risk_material import a_night, head, models
from tests.library.mapped_library import ENCODER, mapped_library, score


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with mapped_library(tmp_path) as opened:
        score(opened, "p0-1", [0] * 10 + [4] * 10)
        yield opened


@pytest.fixture
def windows(library: Library) -> StoredMap:
    return make(library, MapSpec(encoder=ENCODER, grain=MapGrain.WINDOW))


@pytest.fixture
def nights(library: Library) -> StoredMap:
    return make(library, MapSpec(encoder=ENCODER))


def value_of(stored: StoredMap, values: MapColumn, study: str) -> object:
    value = values.of_rows(stored)[stored.study_n == stored.studies.index(study)][0]
    return value if values.labels is None else (None if value == MISSING else values.labels[value])


def test_where_a_night_is_from_is_offered_first(library: Library, windows: StoredMap) -> None:
    facts.store(library, "p0-1", {"AHI": "12.5", "zodiac": "Leo"})
    titles = [one.title for one in choices(library, windows)]
    assert titles == ["Site", "Age", "Sex", "AHI", "Stage", "Share of REM", "Share of N3", "Share of Wake", "Person", "Zodiac",
                      "Fitted or placed"]  # fmt: skip


def test_facts_are_groups_or_numbers(library: Library, nights: StoredMap) -> None:
    site = column(library, nights, "fact:site")
    assert site.labels == ("A", "B")
    assert (value_of(nights, site, "p0-1"), value_of(nights, site, "p3-2")) == ("A", "B")
    age = column(library, nights, "fact:age")
    assert (age.unit, value_of(nights, age, "p3-1")) == ("years", 43.0)
    facts.store(library, "p3-1", {"site": "", "age": ""})
    assert value_of(nights, column(library, nights, "fact:site"), "p3-1") is None
    assert np.isnan(value_of(nights, column(library, nights, "fact:age"), "p3-1"))
    assert column(library, nights, "fact:age").digest != age.digest


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1", "2", "1", "2"], False),
        ([str(k / 7) for k in range(12)], True),
        ([str(k) for k in range(11)] + ["none of these"], False),
        ([str(k) for k in range(11)] + ["inf"], False),
    ],
)
def test_few_numbers_are_codes_and_one_word_makes_groups(
    library: Library,
    nights: StoredMap,
    texts: list[str],
    numbers: bool,
) -> None:
    for study, text in zip(nights.studies, texts, strict=False):
        facts.store(library, study, {"arm": text})
    found = column(library, nights, "fact:arm")
    assert (found.labels is None) is numbers
    expected = [float(text) if numbers else text for text in texts]
    np.testing.assert_array_equal(
        [np.float32(one) if numbers else one for one in expected],
        [value_of(nights, found, study) for study, _ in zip(nights.studies, texts, strict=False)],
    )


def test_stages_are_those_of_the_windows_and_of_the_night(windows: StoredMap, nights: StoredMap, library: Library) -> None:
    stage = column(library, windows, "stage")
    assert stage.labels is not None
    assert [stage.labels[code] for code in stage.values_v[:2]] == ["W", "R"]
    assert (stage.values_v[2:] == MISSING).all()
    rem = column(library, nights, "stage:REM")
    assert value_of(nights, rem, "p0-1") == 50.0
    assert np.isnan(value_of(nights, rem, "p0-2"))
    with pytest.raises(RequestError, match="no column"):
        column(library, nights, "fact:nothing")


def test_numbers_go_into_fifths(library: Library, nights: StoredMap) -> None:
    for number, study in enumerate(nights.studies[:10]):
        facts.store(library, study, {"bmi": str(20 + number)})
    code_n, names = column(library, nights, "fact:bmi").groups(nights)
    assert code_n.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, MISSING, MISSING]
    assert len(names) == 5
    assert names[0] == "20 to 21.8"


def test_a_score_that_was_stored_is_a_column_of_its_head(library: Library, nights: StoredMap) -> None:
    result = night_risk(a_night(), models(head()), age=57, sex="male", resamples=2)

    def store_for(study: str, shift: float) -> None:
        stated = facts.person(library, study)
        of_study = replace(result, study=study, age=stated.age, sex=stated.sex, log_hazard_k=result.log_hazard_k + shift)
        store(library, of_study, {"key": "k", "source_sha256": library.study(study).sha256})

    assert not [one for one in choices(library, nights) if one.is_score]
    store_for("p0-1", 0.0)
    store_for("p1-1", 1.0)
    offered = [one for one in choices(library, nights) if one.is_score]
    assert [one.title for one in offered] == [f"Score: {one.phenotype} ({result.model})" for one in result.conditions]
    for place, one in enumerate(offered):
        found = column(library, nights, one.key)
        assert found.unit == "log hazard"
        assert value_of(nights, found, "p0-1") == np.float32(result.log_hazard_k[place])
        assert value_of(nights, found, "p1-1") == np.float32(result.log_hazard_k[place] + 1)
        assert np.isnan(value_of(nights, found, "p2-1"))
    store_for("p1-1", 2.0)
    newer = column(library, nights, offered[0].key)
    assert value_of(nights, newer, "p1-1") == np.float32(result.log_hazard_k[0] + 2)
    facts.store(library, "p1-1", {"age": "7"})
    stated = column(library, nights, offered[0].key)
    assert np.isnan(value_of(nights, stated, "p1-1")), "it was made for another age"
    assert value_of(nights, stated, "p0-1") == np.float32(result.log_hazard_k[0])


# selections


def selected(library: Library, stored: StoredMap, **description: object) -> set[str]:
    rows = rows_of(library, stored, read_selection(description))
    return {stored.studies[number] for number in stored.study_n[rows]}


def test_groups_ranges_and_lines_select_what_they_say(library: Library, nights: StoredMap) -> None:
    even = {study for study in nights.studies if int(study[1]) % 2 == 0}
    assert selected(library, nights, kind="groups", column="fact:site", labels=["A"]) == even
    facts.store(library, "p2-1", {"site": ""})
    assert selected(library, nights, kind="groups", column="fact:site", labels=[None]) == {"p2-1"}
    assert selected(library, nights, kind="groups", column="fact:site", labels=["B", "not there"]) == set(nights.studies) - even
    assert selected(library, nights, kind="range", column="fact:age", low=41, high=42) == {"p1-1", "p1-2", "p2-1", "p2-2"}
    x, y = float(nights.x_n[3]), float(nights.y_n[3])
    box = [[x - 1e-4, y - 1e-4], [x + 1e-4, y - 1e-4], [x + 1e-4, y + 1e-4], [x - 1e-4, y + 1e-4]]
    assert nights.studies[3] in selected(library, nights, kind="lasso", polygon=box)


def test_a_number_selects_itself(library: Library, nights: StoredMap) -> None:
    for number, study in enumerate(nights.studies):
        facts.store(library, study, {"ahi": str(55.61 + number)})
    assert selected(library, nights, kind="range", column="fact:ahi", low=0, high=55.61) == {nights.studies[0]}


@pytest.mark.parametrize(
    "description",
    [
        None,
        {"kind": "everything"},
        {"kind": "lasso", "polygon": [[0, 0], [1, 1]]},
        {"kind": "lasso", "polygon": [[0, 0], [1, float("nan")], [2, 2]]},
        {"kind": "lasso", "polygon": [[0, 0]] * 2001},
        {"kind": "range", "column": "fact:age", "low": 1},
        {"kind": "groups", "column": "fact:site", "labels": []},
        {"kind": "groups", "column": "fact:site", "labels": ["A"], "rows": [1]},
    ],
)
def test_what_is_no_selection_is_refused(description: object) -> None:
    with pytest.raises(RequestError, match="select again"):
        read_selection(description)


def test_a_range_of_groups_is_refused(library: Library, nights: StoredMap) -> None:
    chosen: Selection = read_selection({"kind": "range", "column": "fact:site", "low": 0, "high": 1})
    with pytest.raises(RequestError, match="holds groups"):
        rows_of(library, nights, chosen)


def test_the_studies_of_a_selection_come_with_their_people_and_windows(library: Library, windows: StoredMap) -> None:
    rows = np.zeros(windows.n, bool)
    own = [np.flatnonzero(windows.study_n == windows.studies.index(study)) for study in ("p1-1", "p4-2")]
    rows[own[0][2:4]] = True
    rows[own[1][1:5]] = True
    found = studies_of(library, windows, rows)
    assert [(one.person.study, one.selected, one.shown) for one in found] == [("p4-2", 4, 5), ("p1-1", 2, 5)]
    assert [one.first_epoch for one in found] == [11, 21]
    assert (found[0].person.subject, found[0].person.site, found[0].person.age) == ("p4", "A", 44.0)
    table = list(csv.DictReader(io.StringIO(selection_csv(found, "windows"))))
    assert table[1] == {"Study ID": "p1-1", "Subject ID": "p1", "site": "B", "age": "41", "sex": "male",
                        "windows selected": "2", "windows on the map": "5"}  # fmt: skip


def test_a_study_that_was_removed_since_is_left_out(library: Library, nights: StoredMap) -> None:
    library.remove("p0-1")
    assert len(studies_of(library, nights, np.ones(nights.n, bool))) == 11
