"""`sleepfm runs`: what people and programs are told about background jobs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from sleepfm.administration.audit import entries
from sleepfm.cli.main import main
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.runs.table import Job, JobState, JobTable, Lane


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr("sleepfm.cli.runs.ensure_running", lambda _home: None)
    return open_home(tmp_path)


@pytest.fixture
def job(home: Home) -> Job:
    table = JobTable(home)
    job = table.add("pretrain", lane=Lane.TRAIN_CPU, title="Pretrain \x1b[31mred", subject="red", parameters={"n": 1})
    table.claim(Lane.TRAIN_CPU)
    table.report(job.id, 0.5, "step 5 of 10")
    folder = home.runs / job.id
    folder.mkdir()
    lines = [{"step": step, "time": 1.0, "train/loss": 2.0 / step, "train/seconds": 1.0} for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "garbage\n")
    (folder / "state.json").write_text('{"seconds_left": 30}')
    (folder / "log.txt").write_text("".join(f"line {number}\n" for number in range(100)))
    return table.get(job.id)


def said(capsys: pytest.CaptureFixture[str], home: Home, *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["runs", *words, "--home", str(home.root), "--json"]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_show_has_the_last_figures_and_the_time_left(capsys: pytest.CaptureFixture[str], home: Home, job: Job) -> None:
    told = said(capsys, home, "show", job.id)
    assert {key: told[key] for key in ("id", "state", "progress", "metrics", "seconds_left", "attempt")} == {
        "id": job.id,
        "state": "running",
        "progress": 0.5,
        "metrics": {"train/loss": 1.0},
        "seconds_left": 30.0,
        "attempt": 1,
    }
    assert "metrics.jsonl" in told["remarks"][0]
    assert main(["runs", "show", job.id, "--home", str(home.root)]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "train/loss" in text


def test_logs_gives_all_or_the_end(capsys: pytest.CaptureFixture[str], home: Home, job: Job) -> None:
    assert len(said(capsys, home, "logs", job.id)["log"].splitlines()) == 100
    assert said(capsys, home, "logs", job.id, "--lines", "2")["log"] == "line 98\nline 99"
    assert main(["runs", "logs", "nobody", "--home", str(home.root)]) == 2
    assert "no run 'nobody'" in capsys.readouterr().err


def test_what_is_done_to_a_run_stands_in_the_table_and_in_the_audit_log(
    capsys: pytest.CaptureFixture[str], home: Home, job: Job
) -> None:
    table = JobTable(home)
    assert main(["runs", "archive", job.id, "--home", str(home.root)]) == 2, "it is open"
    said(capsys, home, "stop", job.id)
    assert (table.get(job.id).stop_requested, table.get(job.id).kill_requested) == (True, False)
    said(capsys, home, "kill", job.id)
    assert table.get(job.id).kill_requested
    assert main(["runs", "resume", job.id, "--home", str(home.root)]) == 2
    table.end(job.id, JobState.STOPPED)
    capsys.readouterr()
    assert said(capsys, home, "note", job.id, "  too slow ")["note"] == "too slow"
    assert said(capsys, home, "archive", job.id)["archived"] is True
    assert said(capsys, home, "list") == {"runs": [], "count": 0, "unqueued": []}
    assert [one["id"] for one in said(capsys, home, "list", "--archived")["runs"]] == [job.id]
    assert said(capsys, home, "archive", job.id, "--undo")["archived"] is False
    resumed = said(capsys, home, "resume", job.id)
    assert (resumed["id"], resumed["state"], resumed["attempt"]) == (job.id, "queued", 2)
    actions = [entry.action for entry in reversed(entries(connect(home.database), subject=job.id))]
    assert actions == ["stop run", "kill run", "annotate run", "archive run", "bring run back", "resume run"]


def test_the_list_is_filtered_and_says_what_it_leaves_out(capsys: pytest.CaptureFixture[str], home: Home, job: Job) -> None:
    table = JobTable(home)
    for number in range(3):
        table.add("import", lane=Lane.QUICK, title=str(number), parameters={"n": number})
    assert len(said(capsys, home, "list")["runs"]) == 4
    assert [one["id"] for one in said(capsys, home, "list", "--state", "running")["runs"]] == [job.id]
    assert said(capsys, home, "list", "--kind", "import", "--limit", "1")["count"] == 3
    assert main(["runs", "list", "--kind", "import", "--limit", "1", "--home", str(home.root)]) == 0
    assert "and 2 more" in capsys.readouterr().out


def test_training_that_was_started_on_the_command_line_is_listed_as_its_folder_says(
    capsys: pytest.CaptureFixture[str], home: Home, job: Job
) -> None:
    def folder(name: str, **said: Any) -> None:
        (home.runs / name).mkdir()
        (home.runs / name / "config.yaml").write_text(f"name: {name}\n")
        (home.runs / name / "state.json").write_text(json.dumps({"fraction": 0.5, "message": "step 5 of 10\x1b[31m"} | said))

    now = time.time()
    folder("trains", state="running", pid=os.getpid(), time=now)
    folder("done", state="finished", pid=os.getpid(), time=now - 1, fraction=1.0)
    folder("another has its pid", state="running", pid=os.getpid(), time=1000.0)
    folder("gone", state="running", pid=2**22 + 7, time=now - 2)
    folder("by hand", state=["running"], pid="1", time=now)
    folder("no such numbers", state="running", pid=-5, time=1e18)
    (home.runs / job.id / "config.yaml").write_text("of a run with a row\n")
    (home.runs / job.id / "state.json").write_text(json.dumps({"state": "running", "pid": os.getpid(), "time": now}))
    told = said(capsys, home, "list")
    assert [one["id"] for one in told["runs"]] == [job.id]
    assert [(one["folder"], one["state"], one["pid"]) for one in told["unqueued"]] == [
        ("trains", "running", os.getpid()),
        ("done", "finished", None),
        ("gone", "crashed", None),
        ("another has its pid", "crashed", None),
        ("no such numbers", "crashed", None),
    ]
    assert [one["folder"] for one in said(capsys, home, "list", "--state", "running")["unqueued"]] == ["trains"]
    assert main(["runs", "list", "--home", str(home.root)]) == 0
    text = capsys.readouterr().out
    assert "outside the queue:\ntrains  running    50 %  step 5 of 10" in text
    assert "\x1b" not in text
