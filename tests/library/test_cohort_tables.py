"""Tables of a cohort: what they say of the library's studies is stored, what makes no sense is named with its row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import edfio
import numpy as np
import pytest

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library import facts, follow_up
from sleepfm.library.cohort_tables import import_table
from sleepfm.library.job_import import import_folder
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from tests.library.small_library import add_studies
from tests.make_edf import write_edf


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "home")
    add_studies(library, tmp_path, ["a", "b", "c"])
    return library


def table(folder: Path, text: str, name: str = "cohort.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_people_are_matched_by_study_id_and_strangers_are_named(library: Library, tmp_path: Path) -> None:
    found = import_table(
        library,
        table(tmp_path, "Study ID,Subject ID,site,age,sex,ahi\na,p1,A,50,female,3\nb.edf,p1,A,51,M,\nzzz,p9,B,20,male,1\n"),
    )
    assert found.studies == ("a", "b")
    assert found.unknown_studies == ("zzz",)
    assert found.columns == ("subject", "site", "age", "sex", "ahi")
    assert (found.notes, found.outcomes) == ((), 0)
    assert facts.person(library, "b") == facts.Person("b", "p1", True, "A", 51.0, "male")
    assert facts.column(library, "ahi") == {"a": "3"}
    assert "zzz" not in facts.people(library)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffStudy ID;Subject ID;age;gender;bmi\r\na;p1;59,5;female;27,25\r\n",
        "study_id\tsubject_id\tAge\tGender\tbmi\na\tp1\t59.5\tF\t27.25\n\n",
        '"Study ID","subject","AGE","Sex","bmi"\n"a","p1","59.5","woman","27.25"\n',
    ],
)
def test_byte_order_mark_semicolons_tabs_quotes_and_decimal_commas(library: Library, tmp_path: Path, text: str) -> None:
    import_table(library, table(tmp_path, text))
    assert facts.person(library, "a") == facts.Person("a", "p1", True, None, 59.5, "female")
    assert facts.column(library, "bmi") == {"a": "27.25"}


def test_cells_that_make_no_sense_are_left_out_and_named_with_their_row(library: Library, tmp_path: Path) -> None:
    facts.store(library, "b", {"age": "40"})
    found = import_table(library, table(tmp_path, "Study ID,site,age,sex\na,A,300,1\nb,,NA,.\nc,C,61,unknown\n"))
    assert len(found.notes) == 3
    assert "line 2: age '300' is no age" in found.notes[0]
    assert "line 2: sex '1' is neither female nor male" in found.notes[1]
    assert "line 4: sex 'unknown'" in found.notes[2]
    assert facts.person(library, "a") == facts.Person("a", "a", False, "A", None, None)
    assert facts.person(library, "b").age == 40, "an empty cell says nothing"
    assert facts.person(library, "c").age == 61


def test_hostile_text_is_kept_and_only_ever_shown_harmless(library: Library, tmp_path: Path) -> None:
    hostile = "\x1b[2J\u202e=cmd|' /C calc'!A0"
    import_table(library, table(tmp_path, f'Study ID,site\na,"{hostile}"\n'))
    assert facts.column(library, "site") == {"a": hostile}
    found = import_table(library, table(tmp_path, "Study ID,age\na,\x1b[31m5\n"))
    assert "\x1b" not in found.notes[0]
    assert "\\x1b[31m5" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Study ID,age\na,50\nb,60\na,51\n", r"line 4: a is there for the second time \(line 2\)"),
        ("Study ID,age\na,50\na.edf,51\n", "line 3: a.edf is there for the second time"),
        ("Study ID,age\na,50,9\n", "line 2: has 3 cells, the first line 2"),
        ("Study ID,age\n,50\n", "line 2: has no Study ID"),
        ("name,age\na,50\n", "one column Study ID; it says name, age"),
        ("Study ID,Study_ID\na,50\n", "one column Study ID"),
        ("Study ID\na\n", "no column but Study ID"),
        ("Study ID,sex,gender\na,f,f\n", "two columns say sex"),
        ("Study ID,x,x\na,1,2\n", "column x stands there twice"),
        ("\n\n", "is empty"),
        ("Study ID,age\na,\x00\n", "binary"),
    ],
)
def test_tables_that_cannot_be_told_apart_are_refused_whole(library: Library, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SleepFMError, match=said) as refused:
        import_table(library, table(tmp_path, text))
    assert "cohort.csv" in str(refused.value)
    assert facts.columns(library) == []


def test_no_such_table_is_a_wrong_request(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nowhere\.csv"):
        import_table(library, tmp_path / "nowhere.csv")


def follow_up_tables(folder: Path, is_event: str, years: str) -> Path:
    table(folder, years, "time_to_event.csv")
    return table(folder, is_event, "is_event.csv")


def test_follow_up_is_read_from_both_tables_in_any_order_of_columns(library: Library, tmp_path: Path) -> None:
    path = follow_up_tables(
        tmp_path, "Study ID,x,y\na,1,0\nb,0,\nc,1,1\nd,1,1\n", "y,Study ID,x\n4.5,a,2\n1,b,3.5\n0,c,-1\n1,d,1\n"
    )
    found = import_table(library, path)
    assert follow_up.conditions(library) == ["x", "y"]
    assert follow_up.outcomes(library, "x") == {"a": (True, 2.0), "b": (False, 3.5)}
    assert follow_up.outcomes(library, "y") == {"a": (False, 4.5)}
    assert found.outcomes == 3
    assert found.unknown_studies == ("d",)
    assert sum("the condition was there before the night" in note for note in found.notes) == 2


def test_follow_up_comes_along_with_the_people_beside_it_and_is_replaced_when_read_again(
    library: Library, tmp_path: Path
) -> None:
    follow_up_tables(tmp_path, "Study ID,x\na,1\nb,0\n", "Study ID,x\na,2\nb,3\n")
    found = import_table(library, table(tmp_path, "Study ID,age\na,50\n"))
    assert (found.columns, found.studies, found.outcomes) == (("age",), ("a", "b"), 2)
    import_table(library, follow_up_tables(tmp_path, "Study ID,x\na,\nb,1\n", "Study ID,x\na,2\nb,4\n"))
    assert follow_up.outcomes(library, "x") == {"b": (True, 4.0)}


@pytest.mark.parametrize(
    ("is_event", "years", "said"),
    [
        ("Study ID,x\na,2\n", "Study ID,x\na,2\n", "line 2 .*'2' is neither 1, 0 nor empty"),
        ("Study ID,x\na,1\n", "Study ID,x\na,soon\n", "'soon' is no number of years"),
        ("Study ID,x\na,1\n", "Study ID,x\na,1_0\n", "'1_0' is no number of years"),
        ("Study ID,x\na,1\n", "Study ID,x\na,3650\n", "3650 years: .* in years, not in days"),
        ("Study ID,x\na,1\n", "Study ID,x\na,inf\n", "'inf' is no number of years"),
        ("Study ID,x\na,1\n", "Study ID,x\nb,2\n", "a is not in time_to_event.csv"),
    ],
)
def test_follow_up_that_makes_no_sense_is_left_out_with_its_row(
    library: Library, tmp_path: Path, is_event: str, years: str, said: str
) -> None:
    found = import_table(library, follow_up_tables(tmp_path, is_event, years))
    assert found.outcomes == 0
    assert len(found.notes) == 1
    assert re.search(said, found.notes[0])
    assert follow_up.conditions(library) == []


def test_half_a_follow_up_and_different_conditions_are_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"time_to_event\.csv: is not there"):
        import_table(library, table(tmp_path, "Study ID,x\na,1\n", "is_event.csv"))
    with pytest.raises(SleepFMError, match="x is in one only"):
        import_table(library, follow_up_tables(tmp_path, "Study ID,x\na,1\n", "Study ID,y\na,1\n"))


def test_a_table_speaks_of_the_recordings_beside_it_where_names_are_used_twice(library: Library, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert add_studies(library, tmp_path / "other", ["a"]) == ["a-2"]
    import_table(library, table(tmp_path / "other", "Study ID,age\na,70\n"))
    assert facts.column(library, "age") == {"a-2": "70"}
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(SleepFMError, match="'a' may be a or a-2; put the table into the folder of its recordings"):
        import_table(library, table(tmp_path / "elsewhere", "Study ID,age\na,20\n"))
    import_table(library, table(tmp_path / "elsewhere", "Study ID,age\na-2,71\n"))
    assert facts.column(library, "age") == {"a-2": "71"}


def test_importing_a_folder_takes_tables_and_scorings_along(tmp_path: Path) -> None:
    folder, home = tmp_path / "data", tmp_path / "home"
    for name in ("n1", "n2", "n3"):
        write_edf(folder / f"{name}.edf", seconds=95, labels=("C4-M1",))
    table(folder, "Study ID,age,sex\nn1,50,male\nn2,900,male\nghost,1,male\n")
    follow_up_tables(folder, "Study ID,x\nn1,1\n", "Study ID,x\nn1,2\n")
    stages = np.array([0, 1, 2], np.int8)
    write_scoring(Scoring(stages), folder / "n1.csv", to="sleepfm")
    write_scoring(Scoring(stages, np.full((3, 5), 0.2, np.float32)), folder / "n2.csv", to="sleepfm")
    table(folder, "time,value\n1,2\n", "n3.csv")
    with Library.open(home) as library:
        result = json.loads(json.dumps(import_folder(library.home, {"folder": str(folder), "stage": False}, silent)))
        assert sorted(result["added"]) == ["n1", "n2", "n3"]
        assert (result["scored"], sorted(result["known"])) == (["n1"], ["n1", "n2"])
        said = "\n".join(one["error"] for one in result["failed"])
        assert "line 3: age '900'" in said
        assert "1 studies that are not among these recordings: ghost" in said
        assert "model's probabilities" in said
        assert len(result["failed"]) == 3
        assert follow_up.outcomes(library, "x") == {"n1": (True, 2.0)}
        assert library.scorings("n1") == []
        (job,) = [one for one in library.jobs.list() if one.subject == "n1"]
        prepare(library.home, job.parameters, silent)
        (stored,) = library.scorings("n1")
        assert (stored.engine, stored.label) == ("file", "Scoring n1.csv")
        np.testing.assert_array_equal(stored.scoring.stages, stages)
        again = import_folder(library.home, {"folder": str(folder), "stage": False}, silent)
        assert again["scored"] == [], "it is there already"
        write_scoring(Scoring(stages[::-1]), folder / "n1.csv", to="sleepfm")
        again = import_folder(library.home, {"folder": str(folder), "stage": False}, silent)
        assert again["scored"] == ["n1"], "it was changed"
        prepare(library.home, job.parameters, silent)
        (stored,) = library.scorings("n1")
        np.testing.assert_array_equal(stored.scoring.stages, stages[::-1])


def test_a_scoring_beside_a_recording_never_replaces_the_recordings_own(tmp_path: Path) -> None:
    own, other = np.array([0, 2, 4], np.int8), np.array([0, 2, 3], np.int8)
    for name in ("same", "different"):
        write_edf(tmp_path / "data" / f"{name}.edf", seconds=90, labels=("C4-M1",))
        edf = edfio.read_edf(tmp_path / "data" / f"{name}.edf")
        texts = [f"Sleep stage {letter}" for letter in ("W", "N2", "R")]
        edf.set_annotations([edfio.EdfAnnotation(30.0 * k, 30.0, text) for k, text in enumerate(texts)])
        edf.write(tmp_path / "data" / f"{name}.edf")
    write_scoring(Scoring(own), tmp_path / "data" / "same.csv", to="sleepfm")
    write_scoring(Scoring(other), tmp_path / "data" / "different.csv", to="sleepfm")
    with Library.open(tmp_path / "home") as library:
        import_folder(library.home, {"folder": str(tmp_path / "data"), "stage": False}, silent)
        for job in library.jobs.list():
            prepare(library.home, job.parameters, silent)
        found = {
            name: {one.label: one.scoring.stages.tolist() for one in library.scorings(name)} for name in ("same", "different")
        }
        again = import_folder(library.home, {"folder": str(tmp_path / "data"), "stage": False}, silent)
        assert again["scored"] == [], "there is nothing new to store"
        assert found == {
            "same": {"Scoring in the file": own.tolist()},
            "different": {"Scoring in the file": own.tolist(), "Scoring different.csv": other.tolist()},
        }
