"""What a run's folder says, also when somebody has been at it; and how runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from viewer.made_up_runs import add_run, bring, settings, write_folder

from sleepfm.home import Home, open_home
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.text import printable
from sleepfm.viewer.runs_compare import differing, figure_rows, flat, run_names
from sleepfm.viewer.runs_papers import MOST_BYTES, asked_settings, environment_rows, read_papers, seconds_left
from sleepfm.viewer.runs_store import CurveStore

CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
        max_leaves=8,
    )
    .map(json.dumps)
    .map(str.encode),
)

KEYS = st.sampled_from(("a", "b", "c"))
NESTED = st.dictionaries(
    KEYS, st.recursive(st.integers(), lambda one: st.dictionaries(KEYS, one, max_size=3), max_leaves=6), min_size=1
)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JobTable]:
    opened = JobTable(open_home(tmp_path / "home"))
    yield opened
    opened.close()


def remarks(home: Home, job: Job) -> str:
    return " ".join(read_papers(home, job).remarks)


def test_a_folder_as_a_run_leaves_it_has_no_remark(table: JobTable) -> None:
    job = add_run(table, "well", JobState.FINISHED)
    folder = write_folder(table.home, job)
    papers = read_papers(table.home, job)
    assert papers.remarks == ()
    assert papers.yaml == (folder / "config.yaml").read_text("utf-8")
    assert yaml.safe_load(papers.yaml) == job.parameters["config"]
    rows = dict(environment_rows(papers))
    assert rows["machine"] == "night-desk"
    assert rows["packages"] == "torch 2.13.0"
    assert rows["git commit"] == "36ffe26"
    assert rows["changed since that commit"] == "nothing"


def test_before_it_began_what_was_asked_for_is_shown(table: JobTable) -> None:
    job = add_run(table, "waits", JobState.QUEUED)
    papers = read_papers(table.home, job)
    assert yaml.safe_load(papers.yaml)["name"] == "waits"
    assert (papers.remarks, environment_rows(papers)) == ((), [])


def test_settings_changed_by_hand_are_a_remark_and_what_was_asked_for_is_shown(table: JobTable) -> None:
    job = add_run(table, "edited", JobState.CRASHED)
    file = write_folder(table.home, job) / "config.yaml"
    file.write_text(file.read_text("utf-8").replace("batch_size: 64", "batch_size: 1"), encoding="utf-8")
    assert "changed by hand" in remarks(table.home, job)
    assert "batch_size: 64" in read_papers(table.home, job).yaml


def test_the_same_settings_in_another_order_are_no_remark(table: JobTable) -> None:
    job = add_run(table, "sorted", JobState.FINISHED)
    file = write_folder(table.home, job) / "config.yaml"
    file.write_text(yaml.safe_dump(job.parameters["config"], sort_keys=True), encoding="utf-8")
    assert remarks(table.home, job) == ""


def test_what_is_too_large_or_a_folder_is_a_remark(table: JobTable) -> None:
    job = add_run(table, "odd", JobState.FINISHED)
    folder = write_folder(table.home, job)
    (folder / "environment.json").write_bytes(b" " * (MOST_BYTES + 1))
    (folder / "git.json").unlink()
    (folder / "git.json").mkdir()
    said = remarks(table.home, job)
    assert "environment.json in the run's folder cannot be read (larger" in said
    assert "git.json in the run's folder cannot be read" in said


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=CONTENTS, environment=CONTENTS, git=CONTENTS)
def test_nothing_in_a_folder_can_stop_the_page(tmp_path: Path, config: bytes, environment: bytes, git: bytes) -> None:
    home = open_home(tmp_path / "hostile")
    table = JobTable(home)
    job = next(iter(table.list()), None) or add_run(table, "hostile", JobState.QUEUED)
    table.close()
    folder = home.runs / job.id
    folder.mkdir(exist_ok=True)
    for name, content in (("config.yaml", config), ("environment.json", environment), ("git.json", git)):
        (folder / name).write_bytes(content)
    papers = read_papers(home, job)
    for row in environment_rows(papers):
        assert all(printable(text) == text for text in row)
    assert papers.settings == job.parameters["config"]


def test_a_job_that_trains_nothing_shows_its_parameters(table: JobTable) -> None:
    job = table.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": "/data", "stage": True})
    assert asked_settings(job) == {"folder": "/data", "stage": True}


def test_what_is_left_is_what_the_run_says_of_this_attempt(table: JobTable) -> None:
    job = add_run(table, "x", JobState.RUNNING)
    assert job.started_at is not None
    file = write_folder(table.home, job) / "state.json"
    assert seconds_left(table.home, job) is None  # said long before it began: by the attempt before
    said = json.loads(file.read_text("utf-8")) | {"time": job.started_at.timestamp() + 1}
    file.write_text(json.dumps(said), encoding="utf-8")
    assert seconds_left(table.home, job) == 95.0
    other = bring(table, table.add("import", lane=Lane.QUICK, title="Import"), JobState.RUNNING)
    assert seconds_left(table.home, other) == pytest.approx(0, abs=5)  # half is done, as fast as that


def test_only_settings_that_differ_are_compared_and_the_name_is_not_one() -> None:
    asked = {name: settings(name, **more).model_dump(mode="json") for name, more in
             {"a": {}, "b": {"batch_size": 32}, "c": {"batch_size": 32, "optimiser": {"clip": None}}}.items()}  # fmt: skip
    assert differing(asked) == [
        {"Setting": "training.batch_size", "a": "64", "b": "32", "c": "32"},
        {"Setting": "training.optimiser.clip", "a": "1.0", "b": "1.0", "c": "none"},
    ]
    assert differing({"a": asked["a"], "again": asked["a"]}) == []


def test_a_setting_that_one_run_lacks_is_not_stated_there() -> None:
    assert differing({"old": {"x": {}}, "new": {"x": {"y": [1, 2]}}}) == [
        {"Setting": "x", "old": "{}", "new": "not stated"},
        {"Setting": "x.y", "old": "not stated", "new": "[1, 2]"},
    ]


@hypothesis_settings(max_examples=30, deadline=None)
@given(NESTED)
def test_flat_settings_lead_back_to_every_value(nested: dict[str, Any]) -> None:
    found = flat(nested)
    for key, words in found.items():
        value: Any = nested
        for step in key.split("."):
            value = value[step]
        assert words == ("{}" if value == {} else str(value))

    def leaves(value: Any) -> int:
        return sum(leaves(one) for one in value.values()) if isinstance(value, dict) and value else 1

    assert len(found) == leaves(nested)


def test_runs_of_the_same_title_are_told_apart_by_their_ids(table: JobTable) -> None:
    jobs = [add_run(table, "x", JobState.STOPPED), add_run(table, "x", JobState.STOPPED), add_run(table, "y", JobState.FINISHED)]
    names = run_names(jobs)
    assert len(set(names)) == 3
    assert names[2] == "Pretrain y"
    assert names[0].endswith(jobs[0].id[-6:])


def test_figures_of_compared_runs_carry_their_units(table: JobTable) -> None:
    by_name = {"x": add_run(table, "x", JobState.FINISHED), "y": add_run(table, "y", JobState.CRASHED)}
    store = CurveStore(table.home)
    curves = {name: store.read(job.id) for name, job in by_name.items()}
    loss = "Lowest validation loss (no unit)"
    rows = {row["Figure"]: row for row in figure_rows(by_name, curves)}
    assert rows[loss] == {"Figure": loss, "x": "0.2441", "y": "–"}
    written = (write_folder(table.home, by_name["y"]) / "metrics.jsonl").read_text("utf-8").splitlines()
    losses = [json.loads(line)["validation/loss"] for line in written if "validation/loss" in line]
    so_far = {row["Figure"]: row for row in figure_rows(by_name, curves | {"y": store.read(by_name["y"].id)})}
    assert float(so_far[loss]["y"]) == pytest.approx(min(losses), rel=1e-3)
    assert so_far["Steps"]["y"] == "60"
    assert rows["Time spent training"]["x"] == "2 min 06 s"
    assert rows["State"]["y"] == "crashed, 50 %"
