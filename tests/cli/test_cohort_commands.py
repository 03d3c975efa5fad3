"""`sleepfm cohort`: tables in, what is known out, subsets and their splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sleepfm.library import facts, job_risk, subsets
from sleepfm.library.library import Library
from sleepfm.models.bundled import ENVIRONMENT
from sleepfm.training.splits import read_splits, read_subjects
from tests.cli.test_commands import is_one_clear_line, run, run_json
from tests.library.small_library import add_studies

STUDIES = [f"n{number}" for number in range(10)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Library.open(tmp_path / "home") as library:
        add_studies(library, tmp_path, STUDIES)
    rows = "".join(f"n{number},p{number // 2},{'AB'[number % 2]},{40 + number},female\n" for number in range(10))
    (tmp_path / "cohort.csv").write_text(f"Study ID,Subject ID,site,age,sex\n{rows}ghost,p9,A,1,male\n")
    (tmp_path / "is_event.csv").write_text("Study ID,SIM-01\nn0,1\nn1,0\n")
    (tmp_path / "time_to_event.csv").write_text("Study ID,SIM-01\nn0,2\nn1,5\n")
    return tmp_path / "home"


@pytest.mark.parametrize("action", ["add", "show", "subset", "assess"])
def test_each_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], action: str) -> None:
    code, out, _ = run(capsys, "cohort", action, "--help")
    assert code == 0
    assert f"example: sleepfm cohort {action}" in out


def test_tables_are_read_and_shown(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, out, err = run(capsys, "cohort", "add", home.parent / "cohort.csv", "--home", home)
    assert code == 0
    assert "10 studies, 4 columns, 2 follow-ups" in out
    assert "1 studies are not in the library: ghost" in err
    shown = run_json(capsys, "cohort", "show", "--home", home)
    assert (shown["studies"], shown["people"], shown["unknown_people"]) == (10, 5, 0)
    assert shown["sites"] == {"A": 5, "B": 5}
    assert shown["ages"] == {"known": 10, "youngest": 40.0, "oldest": 49.0}
    assert shown["conditions"] == {"SIM-01": {"studies": 2, "events": 1}}
    _, text, _ = run(capsys, "cohort", "show", "--home", home)
    assert "10 studies of 5 people" in text
    assert "condition SIM-01: 2 studies, 1 events" in text


def test_a_bad_table_is_one_line_and_stops_no_other(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    bad = home.parent / "bad.csv"
    bad.write_text("Study ID,age\nn0,1\nn0,2\n")
    code, out, err = run(capsys, "cohort", "add", bad, "--home", home)
    assert (code, out) == (1, "")
    assert is_one_clear_line(err)
    assert "line 3: n0 is there for the second time" in err
    assert run(capsys, "cohort", "add", home.parent / "no.csv", "--home", home)[0] == 2
    code, out, err = run(capsys, "cohort", "add", bad, home.parent / "cohort.csv", "--home", home, "--json")
    found = json.loads(out)
    assert code == 1
    assert [one["file"] for one in found["failed"]] == [str(bad)]
    assert found["tables"][0]["unknown_studies"] == ["ghost"]


def test_a_subset_is_kept_split_by_person_and_removed(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    run(capsys, "cohort", "add", home.parent / "cohort.csv", "--home", home)
    out = tmp_path / "mine.json"
    words = ["--shares", 0, 0.6, 0.2, 0.2, "--seed", 3, "--out", out]
    found = run_json(capsys, "cohort", "subset", "some", "--home", home, "--studies", *STUDIES, *words)
    assert found["studies"] == STUDIES
    assert found["split"]["people"] == {"train": 3, "validation": 1, "test": 1}
    splits = read_splits(out, read_subjects(Path(found["split"]["people_path"])))
    assert len(splits.train) == 6
    code, said, _ = run(capsys, "cohort", "subset", "some", "--split", "--shares", 0, 0.6, 0.2, 0.2, "--home", home)
    assert code == 0
    assert "name it as data.splits" in said
    assert (home / "splits" / "some.json").is_file()
    for wrong in (["--studies", "n0"], ["--studies", "ghost", "--replace"], ["--remove", "--split"]):
        code, _, err = run(capsys, "cohort", "subset", "some", "--home", home, *wrong)
        assert code == 2
        assert is_one_clear_line(err)
    assert run(capsys, "cohort", "subset", "some", "--studies", "n0", "--replace", "--home", home)[0] == 0
    assert run_json(capsys, "cohort", "show", "--home", home)["subsets"] == {"some": 1}
    assert run_json(capsys, "cohort", "subset", "some", "--remove", "--home", home) == {"name": "some", "removed": True}
    assert run(capsys, "cohort", "subset", "some", "--home", home)[0] == 2


def test_everybody_of_known_age_and_sex_is_queued(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_risk, "ensure_running", lambda _home: None)
    monkeypatch.setenv(ENVIRONMENT, str(Path(__file__).parents[2] / "assets" / "models"))
    with Library.open(home) as library:
        facts.store(library, "n1", {"age": "50", "sex": "male"})
        subsets.save(library, "two", ["n1", "n2"])
    found = run_json(capsys, "cohort", "assess", "--model", "demo-disease", "--subset", "two", "--home", home)
    assert found["queued"] == ["n1"]
    assert "import a table" in found["left_out"]["n2"]
    assert run(capsys, "cohort", "assess", "--model", "nobody", "--home", home)[0] == 2
