"""What the page of runs says and does on the server; that only admins act, and that what they do is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from viewer.made_up_runs import add_run, bring, write_folder

from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.runs.table import Job, JobState, Lane
from sleepfm.viewer import runs_acting, signed_in
from sleepfm.viewer.signed_in import User
from tests.models.made_up_cards import put_card

ROOT = Path(__file__).parents[2]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(runs_acting, "ensure_running", lambda _home: None)
    monkeypatch.setattr(signed_in, "current_user", signed_in.local_user)
    with Library.open() as opened:
        yield opened


def page(**address: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "runs.py"), default_timeout=60)
    for name, value in address.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.warning, test.error, test.success, test.code)
    return "\n".join(one.value for kind in kinds for one in kind).replace("\\", "")


def press(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception
    return test


def labels(test: AppTest) -> set[str]:
    return {button.label for button in test.button}


def done(library: Library, job: Job) -> list[str]:
    return [entry.action for entry in reversed(entries(library.connection, subject=job.id))]


@pytest.mark.usefixtures("library")
def test_without_runs_it_says_where_they_come_from() -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.switch_page("pages/runs.py").run()
    assert not test.exception
    assert "No runs yet" in said(test)


@pytest.mark.usefixtures("library")
def test_an_unknown_run_is_said_and_leads_back() -> None:
    test = page(run="20261120-000000-ffffff")
    assert "no run" in said(test)
    assert "All runs" in labels(test)


def test_a_crashed_run_shows_its_last_words_and_is_resumed(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.CRASHED)
    write_folder(library.home, job)
    test = page(run=job.id)
    assert "its process ended with code -9" in said(test)
    assert "step 60: well" in said(test)
    press(test, "Resume")
    again = library.jobs.get(job.id)
    assert (again.state, again.attempt) == (JobState.QUEUED, 2)
    assert done(library, job) == ["resume run"]
    assert "goes on from its last checkpoint" in said(test)


def test_a_run_whose_name_another_model_has_got_is_not_resumed_here_either(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.CRASHED)
    put_card(library.home.models, "x")
    test = press(page(run=job.id), "Resume")
    assert "another model named x" in said(test)
    assert library.jobs.get(job.id).state is JobState.CRASHED
    assert done(library, job) == ["resume run", "resume run: failed"]


def test_a_running_run_is_stopped_or_after_a_second_thought_killed(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.RUNNING)
    test = page(run=job.id)
    press(test, "Kill …")
    press(test, "Let it run")
    assert not library.jobs.get(job.id).stop_requested
    press(test, "Stop the run")
    assert library.jobs.get(job.id).stop_requested
    assert "Stop the run" not in labels(test)
    press(test, "Kill …")
    press(test, "Kill it")
    assert library.jobs.get(job.id).kill_requested
    assert done(library, job) == ["stop run", "kill run"]


def test_a_waiting_run_leaves_the_queue(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.QUEUED)
    press(page(run=job.id), "Take out of the queue")
    assert library.jobs.get(job.id).state is JobState.STOPPED


def test_a_finished_encoder_leads_to_its_model_and_to_fine_tuning(library: Library) -> None:
    encoder = add_run(library.jobs, "x", JobState.FINISHED)
    head = add_run(library.jobs, "y", JobState.FINISHED, kind="finetune")
    assert {"Open its model", "Fine-tune from it", "Clone with changes"} <= labels(page(run=encoder.id))
    assert "Fine-tune from it" not in labels(page(run=head.id))


def test_a_note_is_kept_and_a_run_put_away_and_brought_back(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.FINISHED)
    test = page(run=job.id)
    test.text_area[0].input("the wide one")
    press(test, "Keep the note")
    press(test, "Archive")
    stored = library.jobs.get(job.id)
    assert (stored.note, stored.archived) == ("the wide one", True)
    press(test, "Bring back")
    assert not library.jobs.get(job.id).archived
    assert done(library, job) == ["annotate run", "archive run", "bring run back"]


def test_the_list_is_searched_by_name_note_and_id_with_every_sign_as_it_is(library: Library) -> None:
    one = add_run(library.jobs, "x_50", JobState.FINISHED)
    other = add_run(library.jobs, "x-50", JobState.FINISHED)
    library.jobs.annotate(other.id, "half the labels: 50%")

    def found(text: str) -> list[str]:
        assert library.jobs.count(search=text) == len(library.jobs.list(search=text))
        return [job.id for job in library.jobs.list(search=text)]

    assert found("x_50") == [one.id]
    assert found("50%") == [other.id]
    assert found(one.id[-6:]) == [one.id]
    assert found(" X") == [other.id, one.id]
    assert found("\\") == []


def test_relations_lead_to_parent_and_clones(library: Library) -> None:
    parent = add_run(library.jobs, "x", JobState.FINISHED)
    clone = add_run(library.jobs, "y", JobState.STOPPED, parent=parent.id)
    assert "Clone: Pretrain y" in labels(page(run=parent.id))
    assert "The run it was cloned from" in labels(page(run=clone.id))


def test_an_import_shows_what_failed_and_can_be_run_again(library: Library) -> None:
    job = library.jobs.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": "/data"})
    bring(library.jobs, job, JobState.RUNNING)
    library.jobs.end(job.id, JobState.FAILED, error="the folder is gone")
    test = page(run=job.id)
    assert "the folder is gone" in said(test)
    assert "folder: /data" in said(test)
    assert {"Run it again", "Archive"} <= labels(test)
    assert "Clone with changes" not in labels(test)


def test_a_hand_edited_folder_is_a_remark(library: Library) -> None:
    job = add_run(library.jobs, "x", JobState.FINISHED)
    folder = write_folder(library.home, job)
    (folder / "config.yaml").write_text("{", encoding="utf-8")
    (folder / "state.json").write_text("[", encoding="utf-8")
    (folder / "log.txt").write_bytes(b"\x1b[2J\xff\n")
    test = page(run=job.id)
    assert "changed by hand" in said(test)
    assert "state.json" in said(test)
    assert "\x1b" not in said(test)


def test_runs_that_cannot_be_compared_are_named(library: Library) -> None:
    one = add_run(library.jobs, "x", JobState.FINISHED)
    other = add_run(library.jobs, "y", JobState.FINISHED, batch_size=32)
    work = library.jobs.add("import", lane=Lane.QUICK, title="Import")
    test = page(compare=f"{one.id},{other.id},{work.id},nonsense")
    assert "Import is no training run" in said(test)
    assert "no run 'nonsense'" in said(test)
    assert "2 runs compared" in said(test)
    settings = test.dataframe[1].value
    assert settings["Setting"].tolist() == ["training.batch_size"]


def shown(test: AppTest, key: str) -> list[dict[str, Any]]:
    """Return the rows of a list as they go to the browser."""
    component = next(one for one in test.get("bidi_component") if one.key == key)
    rows: list[dict[str, Any]] = json.loads(component.proto.json)["rows"]
    return rows


def test_of_a_long_queue_what_runs_and_what_is_next_are_shown(library: Library) -> None:
    running = bring(library.jobs, library.jobs.add("import", lane=Lane.QUICK, title="Import"), JobState.RUNNING)
    waiting = [library.jobs.add("stage", lane=Lane.HEAVY, title=f"Stage {n}", subject=str(n)).id for n in range(40)]
    test = page()
    order = [job.id for job in library.jobs.list(states=(JobState.QUEUED,))][::-1]
    assert [row["id"] for row in shown(test, "queue")] == [running.id, *order[:25]]
    assert library.jobs.head(Lane.HEAVY) == library.jobs.get(order[0])
    assert set(order) == set(waiting)
    assert "the first 25 of 40" in said(test)


def test_the_history_comes_in_pages_and_leaves_out_what_was_put_away(library: Library) -> None:
    ids = [add_run(library.jobs, f"x{n}", JobState.STOPPED).id for n in range(30)]
    library.jobs.archive(ids[3])
    test = page()
    first = [row["id"] for row in shown(test, "history")]
    test.number_input[0].set_value(2).run()
    second = [row["id"] for row in shown(test, "history")]
    assert (len(first), len(second)) == (25, 4)
    assert {*first, *second} == set(ids) - {ids[3]}
    for identifier in second:  # the last page is gone when its runs are
        library.jobs.archive(identifier)
    test.run()
    assert not test.exception
    assert [row["id"] for row in shown(test, "history")] == first
    test.toggle[0].set_value(True).run()
    assert {row["id"] for row in shown(test, "history")} == {ids[3], *second}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SCORER])
def test_only_admins_act(library: Library, monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    job = add_run(library.jobs, "x", JobState.RUNNING)
    somebody = User("eve", role, local=False)
    monkeypatch.setattr(signed_in, "current_user", lambda: somebody)
    runs_acting.kill(library, job)
    runs_acting.stop(library, job)
    runs_acting.annotate(library, job, "mine")
    stored = library.jobs.get(job.id)
    assert (stored.stop_requested, stored.kill_requested, stored.note) == (False, False, "")
    assert done(library, job) == ["kill run: refused", "stop run: refused", "annotate run: refused"]
    alone = page(run=job.id)
    assert "This asks for the role" in alone.error[0].value
    assert len(alone.button) == 0
