"""The pages of training forms: what they begin with, what they refuse at once, and what stays while one looks elsewhere."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from sleepfm.library.library import Library
from sleepfm.library.preflight import KIND, settings_key
from sleepfm.library.training_runs import submit_pretrain
from sleepfm.runs.table import JobState, Lane
from sleepfm.training.config_files import as_yaml
from sleepfm.training.preflight_report import Check, Preflight
from sleepfm.training.settings import PretrainSettings

ROOT = Path(__file__).parents[2]
LISTS = {"train": ["a1", "a2", "b1", "c1", "d1"], "validation": ["e1"], "test": ["f1"]}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    return Library.open()


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Give a folder of lists and people; no recording is looked at before the check."""
    folder = tmp_path / "cohort"
    (folder / "scorings").mkdir(parents=True)
    (folder / "splits.json").write_text(json.dumps(LISTS), encoding="utf-8")
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("Study ID", "Subject ID"))
        rows.writerows((study, study[0]) for studies in LISTS.values() for study in studies)
    return folder


def open_page(name: str, **address: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    for key, value in address.items():
        test.query_params[key] = value
    test.switch_page(f"pages/{name}.py").run()
    assert not test.exception
    return test


def open_again(test: AppTest) -> AppTest:
    """Look elsewhere and come back."""
    test.switch_page("pages/studies.py").run()
    test.switch_page("pages/pretrain.py").run()
    assert not test.exception
    return test


def field(test: AppTest, label: str) -> Any:
    kinds = (test.text_input, test.text_area, test.selectbox, test.multiselect, test.toggle, test.number_input)
    return next(one for kind in kinds for one in kind if one.label.replace("\\", "") == label)


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def choose(test: AppTest, label: str, option: str) -> AppTest:
    return next(one for one in test.segmented_control if one.label == label).set_value(option).run()


def take_folder(test: AppTest, folder: Path) -> AppTest:
    choose(test, "Data from", "Folder")
    return field(test, "Folder").set_value(str(folder)).run()


def settings(test: AppTest) -> dict[str, Any]:
    """Return the configuration as the page shows it."""
    content: dict[str, Any] = yaml.safe_load(test.code[0].value)
    return content


def said(test: AppTest) -> str:
    kinds = (test.warning, test.error, test.info, test.markdown, test.caption)
    return "\n".join(one.value for kind in kinds for one in kind).replace("\\", "")


def can(test: AppTest, label: str) -> bool:
    return not next(one for one in test.button if one.label == label).disabled


@pytest.mark.usefixtures("library")
def test_a_new_form_is_the_smoke_test_and_asks_for_data() -> None:
    test = open_page("pretrain")
    assert field(test, "Name").value == "smoke-encoder"
    assert field(test, "Stop after (steps)").value == "24"
    assert "Data: choose a dataset, a folder or files to train on" in said(test)
    assert "Signals is missing" not in said(test)
    assert not can(test, "Check first")
    assert not can(test, "Start")


def test_a_folder_is_taken_with_its_lists(library: Library, cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    data = settings(test)["data"]
    assert data["signals"] == [str(cohort)]
    assert data["lists"] == ["train"]  # there is no list for pretraining
    lists = test.dataframe[0].value
    assert lists["People"].tolist() == [4, 1, 1]
    assert lists["Nights"].tolist() == [5, 1, 1]
    assert can(test, "Check first")
    assert not can(test, "Start")
    field(test, "Learn from").set_value(0.5).run()
    assert settings(test)["data"]["fraction"] == 0.5
    assert field(test, "Learn from").options == ["all 4 people", "1 of 4 people", "2 of 4 people"]
    assert library.jobs.list() == ()


def test_a_folder_that_is_gone_or_has_no_lists_is_said_at_once(library: Library, cohort: Path, tmp_path: Path) -> None:
    assert library.count() == 0
    test = take_folder(open_page("pretrain"), tmp_path / "nothing")
    assert "there is no such folder" in said(test)
    (tmp_path / "empty").mkdir()
    take_folder(test, tmp_path / "empty")
    assert "people can be divided only where it says whose each night is" in said(test)
    assert "Write splits.json" not in [one.label for one in test.button]
    take_folder(test, cohort)
    assert can(test, "Check first")
    for other in ("nothing", "empty"):  # the data of one folder are not trained on under the name of another
        take_folder(test, tmp_path / other)
        assert "splits" not in settings(test)["data"]
        assert not can(test, "Check first")
    take_folder(test, cohort)
    choose(test, "Data from", "Dataset")  # where none is chosen
    assert not can(test, "Check first")
    choose(test, "Data from", "Folder")
    assert can(test, "Check first")
    cohort.rename(tmp_path / "moved")
    test.run()
    assert "is not there; it may have been moved" in said(test)
    assert not can(test, "Check first")


def test_a_folder_without_lists_is_divided_by_its_people(library: Library, cohort: Path) -> None:
    (cohort / "splits.json").unlink()
    people = {"a": ("A", "female", "40"), "b": ("A", "male", "64.5"), "c": ("B", "female", ""), "d": ("B", "male", "no age")}
    with (cohort / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("Study ID", "Subject ID", "site", "sex", "age", ""))
        rows.writerows((f"{who}{night}", who, *people[who], "7") for who in people for night in (1, 2))
        rows.writerow(("z9", "z", "B", "", "", "7"))
    for who in people:
        for night in (1, 2):
            (cohort / f"{who}{night}.hdf5").touch()
    (cohort / "stranger.hdf5").touch()

    test = take_folder(open_page("pretrain"), cohort)
    field(test, "Train (%)").set_value(60).run()
    assert "add up to 90 %" in said(test)
    field(test, "Train (%)").set_value(50)
    field(test, "Validation (%)").set_value(0)
    field(test, "Test (%)").set_value(50)
    assert field(test, "Even by").options == ["nothing", "age", "sex", "site"]
    field(test, "Even by").set_value("site").run()
    lists = test.dataframe[0].value
    assert lists["People"].tolist() == [2, 2]
    assert lists["Nights"].tolist() == [4, 4]
    assert lists["Nights by site"].tolist() == ["A 2, B 2"] * 2
    assert "1 of 9 nights stay in no list" in said(test)
    assert "1 of cohort.csv's studies have no signals here" in said(test)
    assert not (cohort / "splits.json").exists()
    (cohort / "splits.json").write_text(json.dumps({"train": ["a1"]}), encoding="utf-8")
    test.run()  # lists that were made elsewhere are taken
    assert test.dataframe[0].value["Nights"].tolist() == [1]
    (cohort / "splits.json").unlink()
    field(test, "Folder").set_value(f" {cohort}").run()
    press(test, "Write splits.json")
    assert not test.exception
    written = json.loads((cohort / "splits.json").read_text(encoding="utf-8"))
    assert sorted(written["train"] + written["test"]) == sorted(f"{who}{night}" for who in people for night in (1, 2))
    assert {study[0] for study in written["train"]}.isdisjoint(study[0] for study in written["test"])
    assert settings(test)["data"]["splits"] == str(cohort / "splits.json")
    shown = test.dataframe[0].value
    assert shown["Nights"].tolist() == [4, 4]
    assert sum(int(words.split(" of ")[0]) for words in shown["Nights of women"]) == 4
    assert can(test, "Check first")
    assert [row["action"] for row in library.connection.execute("SELECT action FROM audit")] == ["divide folder"]


WRONG = [
    ("Epochs", "0", "should be greater than or equal to 1"),
    ("Epochs", "many", "should be a whole number"),
    ("Epochs", "", "should be a whole number"),
    ("Learning rate", "-1", "should be greater than 0"),
    ("Learning rate", "inf", "should be a finite number"),
    ("Window (s)", "31", "31 s is not a whole number of tokens of 5 s"),
    ("Batch (samples)", "1", "a contrastive loss needs at least 2 windows"),
    ("Name", "../x", "use letters, digits"),
]


@pytest.mark.usefixtures("library")
def test_what_does_not_fit_is_said_at_its_field(cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    for label, value, words in WRONG:
        before = field(test, label).value
        field(test, label).set_value(value).run()
        assert not can(test, "Check first"), label
        told = [one.value.replace("\\", "") for one in (*test.markdown, *test.warning)]
        assert sum(words in one for one in told) == 2, label  # at the field, and beside the button
        assert "would refuse this file" in said(test), label
        field(test, label).set_value(before).run()
        assert can(test, "Check first"), label


def test_a_name_that_is_taken_is_refused(library: Library, cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    asked = PretrainSettings.model_validate(settings(test))
    job = submit_pretrain(library.home, asked, start=False)
    test.run()
    assert f"the run {job.id} is making a model of this name; choose another" in said(test)
    assert not can(test, "Check first")
    assert field(open_page("pretrain"), "Name").value == "smoke-encoder-2"


def test_presets_change_what_was_not_given(library: Library, cohort: Path) -> None:
    assert library.count() == 0
    test = take_folder(open_page("pretrain"), cohort)
    field(test, "Epochs").set_value("7").run()
    choose(test, "Pretrain with preset", "Published")
    now = settings(test)
    assert now["name"] == "clinical-encoder"
    assert now["encoder"]["parameters"]["embed_dim"] == 128
    assert now["training"]["epochs"] == 1
    assert now["data"]["signals"] == [str(cohort)]
    field(test, "Name").set_value("mine").run()
    choose(test, "Pretrain with preset", "Smoke test")
    assert settings(test)["name"] == "mine"


@pytest.mark.usefixtures("library")
def test_the_form_is_as_it_was_after_a_look_elsewhere(cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    field(test, "Epochs").set_value("7").run()
    before = settings(test)
    assert settings(open_again(test)) == before
    assert field(test, "Epochs").value == "7"


@pytest.mark.usefixtures("library")
def test_every_kind_of_field_is_taken(cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    field(test, "Patience (validations)").set_value("3").run()
    field(test, "Gradient limit").set_value("").run()
    field(test, "Schedule").set_value("constant").run()
    field(test, "Random offset").set_value(False).run()
    field(test, "EMG").set_value(False).run()
    field(test, "num_heads").set_value("4").run()
    field(test, "dropout").set_value("").run()
    field(test, "Add a number").set_value("width = 2.5").run()
    field(test, "Channels at once").set_value(1).run()  # one for each
    now = settings(test)
    assert now["training"]["patience"] == 3
    assert now["training"]["optimiser"]["clip"] is None
    assert now["training"]["optimiser"]["schedule"] == "constant"
    assert now["augmentation"] == {"modality_dropout": 0.0, "channel_dropout": 0.0, "most_channels": {}, "random_offset": False}
    assert list(now["encoder"]["modalities"]) == ["BAS", "RESP", "EKG"]
    assert now["encoder"]["parameters"] == {
        "embed_dim": 16, "num_heads": 4, "num_layers": 1, "pooling_head": 2, "patch_size": 640, "width": 2.5,
    }  # fmt: skip
    next(one for one in test.toggle if one.label == "EMG").set_value(True).run()
    field(test, "EKG").set_value("1").run()
    assert settings(test)["augmentation"]["most_channels"] == {"EKG": 1}
    assert settings(test)["encoder"]["modalities"]["EMG"]["max_channels"] == 4


@pytest.mark.usefixtures("library")
def test_a_configuration_is_brought_back_or_refused(cohort: Path) -> None:
    test = take_folder(open_page("pretrain"), cohort)
    content = settings(test)
    content["training"]["epochs"] = 9
    field(test, "YAML").set_value(yaml.safe_dump(content)).run()
    press(test, "Use this")
    assert field(test, "Epochs").value == "9"
    assert field(test, "Folder").value == str(cohort)
    content["data"] |= {"cohort": None, "signals": [str(cohort / "scorings")]}
    field(test, "YAML").set_value(yaml.safe_dump(content)).run()
    press(test, "Use this")
    assert field(test, "Signals").value == str(cohort / "scorings")  # file by file: not what the folder means
    field(test, "YAML").set_value("name: x\ntrainning: {}\n").run()
    press(test, "Use this")
    assert "trainning: unknown key (did you mean training?)" in said(test)
    assert field(test, "Epochs").value == "9"


def test_start_works_for_exactly_the_settings_that_passed(
    library: Library, cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleepfm.library.training_runs.ensure_running", lambda _home: None)
    test = take_folder(open_page("pretrain"), cohort)
    asked = PretrainSettings.model_validate(settings(test))

    def look(state: str) -> None:
        found = Preflight((Check("disk", state, "there is room"),), seconds=90.0, memory_mb=1500.0)  # type: ignore[arg-type]
        job = library.jobs.add(
            KIND, lane=Lane.QUICK, title="Check", subject=settings_key("pretrain", None, asked, devices=1), once=False
        )
        library.jobs.claim(Lane.QUICK)
        library.jobs.end(job.id, JobState.FINISHED, result=found.as_dict())

    look("bad")
    test.run()
    assert not can(test, "Start")
    assert "there is room" in said(test)
    look("doubtful")
    test.run()
    assert can(test, "Start")
    assert "about 1 min 30 s · 1.5 GB memory" in said(test)
    field(test, "Epochs").set_value("7")
    press(test, "Start")  # in one with the change, before it was drawn
    assert library.jobs.list(kinds=("pretrain",)) == ()
    assert not can(test, "Start")
    field(test, "Epochs").set_value("2").run()
    assert can(test, "Start")
    press(test, "Start")
    [job] = library.jobs.list(kinds=("pretrain",))
    assert job.parameters["config"] == asked.model_dump(mode="json")
    assert job.submitted_by
    assert field(open_again(test), "Name").value == "smoke-encoder-2"
    actions = [row["action"] for row in library.connection.execute("SELECT action FROM audit")]
    assert actions == ["start training"]


def test_a_run_is_cloned_with_changes(library: Library, cohort: Path) -> None:
    asked = PretrainSettings.model_validate(settings(take_folder(open_page("pretrain"), cohort)) | {"validation_windows": 99})
    job = submit_pretrain(library.home, asked, start=False)
    test = open_page("pretrain", **{"from": job.id})
    now = settings(test)
    assert now.pop("name") == "smoke-encoder-2"
    assert now | {"name": "smoke-encoder"} == yaml.safe_load(as_yaml(asked))
    assert field(test, "Folder").value == str(cohort)
    assert f"A copy of run {job.id}" in said(test)
    assert "1 difference from the last run, smoke-encoder" in [one.label.replace("\\", "") for one in test.expander]
    assert "no run" in said(open_page("pretrain", **{"from": "nothing"}))
    assert "open it under Pretrain" in said(open_page("finetune", **{"from": job.id}))
    follower = open_page("finetune", task="staging", data=job.id)
    assert field(follower, "Folder").value == str(cohort)
    assert settings(follower)["scorings"] == str(cohort / "scorings")
    open_page("finetune", task="staging", data="nothing")


def test_each_task_has_its_settings_and_the_same_data(library: Library, cohort: Path) -> None:
    assert library.count() == 0
    test = open_page("finetune", task="breathing")
    assert "No encoder is on the shelf" in said(test)
    assert field(test, "Night weight").value == "0.5"
    take_folder(test, cohort)
    assert settings(test)["scorings"] == str(cohort / "scorings")
    choose(test, "Fine-tune for", "disease")
    now = settings(test)
    assert now["data"]["signals"] == [str(cohort)]
    assert now["ties"] == "efron"
    assert "is_event: is missing" in said(test) or "Is event is missing" in said(test)
    (cohort / "splits.json").unlink()
    take_folder(test, cohort.parent)
    take_folder(test, cohort)
    choose(test, "Fine-tune for", "staging")  # a form that was not open yet divides the folder too
    assert f"{cohort}: holds no file that ends in .hdf5" in said(test)
    assert "splits" not in settings(test)["data"]
    field(test, "Class weights").set_value(1).run()  # balanced
    assert settings(test)["class_weights"] == "balanced"


def test_the_forms_load_no_torch() -> None:
    code = "import sys, sleepfm.viewer.form_page, sleepfm.viewer.form_curve_panel; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == 0
