"""What a folder of data means for the settings of each kind of training, and how its lists are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sleepfm.errors import RequestError
from sleepfm.training.config_files import differences
from sleepfm.training.finetune_settings import SETTINGS_OF
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.splits import Splits
from sleepfm.viewer.form_config import difference_rows
from sleepfm.viewer.form_data_source import balance_rows, in_folder, list_rows, read_lists, settings_of
from sleepfm.viewer.form_presets import free_name
from sleepfm.viewer.form_schema import REMOVE

SPLITS = Splits(("p",), ("a1", "a2", "b"), ("c",), ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("signals", "scorings"):
        (tmp_path / name).mkdir()
    (tmp_path / "splits.json").write_text(json.dumps({"train": ["a1", "a2"]}), encoding="utf-8")
    (tmp_path / "is_event.csv").touch()
    return tmp_path


def test_a_folder_gives_each_task_what_it_needs(folder: Path) -> None:
    paths = in_folder(folder)
    pretrain = settings_of(PretrainSettings, paths, SPLITS)
    assert pretrain == {
        ("data", "signals"): [str(folder / "signals")],
        ("data", "splits"): str(folder / "splits.json"),
        ("data", "cohort"): None,
        ("data", "lists"): ["pretrain"],
    }
    staging = settings_of(SETTINGS_OF["staging"], paths, SPLITS)
    assert (staging["scorings",], staging["data", "lists"]) == (str(folder / "scorings"), ["train"])
    assert settings_of(SETTINGS_OF["breathing"], paths, SPLITS)["events",] is None
    disease = settings_of(SETTINGS_OF["disease"], paths, SPLITS)
    assert disease["is_event",] == str(folder / "is_event.csv")
    assert disease["time_to_event",] is REMOVE  # so that the form says that it is missing
    assert disease["demographics",] is None


def test_signals_may_lie_in_the_folder_itself(folder: Path) -> None:
    (folder / "signals").rmdir()
    assert in_folder(folder).signals == folder
    (folder / "splits.json").unlink()
    with pytest.raises(RequestError, match=r"has no splits\.json"):
        in_folder(folder)


def test_lists_are_counted_by_people(folder: Path) -> None:
    (folder / "cohort.csv").write_text("Study ID,Subject ID\na1,a\na2,a\n", encoding="utf-8")
    assert list_rows(*read_lists(folder / "splits.json", folder / "cohort.csv")) == [{"List": "train", "People": 1, "Nights": 2}]


def test_a_balance_is_told_with_its_counts() -> None:
    about: dict[str, Any] = {
        "list": "train",
        "subjects": 3,
        "studies": 4,
        "hours": 30.4,
        "labelled": 3,
        "epochs": {"Wake": 10, "Stage 1": 0, "Stage 2": 30, "Stage 3": 0, "REM": 0},
        "site": {"A": 2, "B": 1, "unknown": 1},
        "sex": {"female": 1, "male": 2, "unknown": 1},
        "age": {"known": 3, "median": 52.0, "low": 40.0, "high": 63.4},
    }
    [row] = balance_rows([about])
    assert (row["W (%)"], row["N2 (%)"], row["R (%)"]) == (25, 75, 0)
    assert (row["Nights of women"], row["Age (years)"], row["Nights by site"]) == ("1 of 3", "52 (40–63)", "A 2, B 1")
    nothing = about | {
        "epochs": dict.fromkeys(about["epochs"], 0), "site": {"unknown": 4}, "sex": {"unknown": 4},
        "age": {"known": 0, "median": None, "low": None, "high": None},
    }  # fmt: skip
    [row] = balance_rows([nothing])
    assert row["W (%)"] is None
    assert row["Nights of women"] == row["Age (years)"] == row["Nights by site"] == "not known"


def test_differences_are_told_setting_by_setting() -> None:
    before = {"a": {"on": True, "way": ["x"]}, "most": None}
    now = {"a": {"on": False, "way": ["x", "y"]}, "most": {"BAS": 2}}
    assert difference_rows(differences(before, now)) == [
        {"Setting": "a.on", "Before": "yes", "Now": "no"},
        {"Setting": "a.way", "Before": "x", "Now": "x, y"},
        {"Setting": "most.BAS", "Before": "none", "Now": "2"},
    ]


def test_a_name_gets_the_first_number_that_is_free() -> None:
    assert free_name("smoke", ()) == "smoke"
    assert free_name("smoke", {"smoke", "smoke-3"}) == "smoke-2"
    assert free_name("smoke-2", {"smoke", "smoke-2"}) == "smoke-3"
    assert free_name("ward-2026", {"ward-2026"}) == "ward-2026-2"
