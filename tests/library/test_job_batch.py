"""A batch goes on after a bad file, after a stop and after a kill, and does anew what has changed, and only that."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sleepfm.administration.app_settings import change_settings
from sleepfm.cli.main import main
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library import job_batch
from sleepfm.library.batch_state import Outcome, read_state, results_csv
from sleepfm.library.job_batch import BatchResult, batch_folder, listed, run_batch, run_over, submit_batch
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.runs.table import Lane

DOUBLE = "tests.library.batch_worker_double"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(job_batch, "WORKER", DOUBLE)
    return open_home(tmp_path / "home")


def recordings(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def begun(out: Path) -> list[str]:
    return [line.split()[0] for line in (out / "begun.txt").read_text().splitlines()]


def test_bad_ones_are_listed_with_their_step_and_the_others_are_done(tmp_path: Path, home: Home) -> None:
    recordings(tmp_path / "in", "a.edf", "dies.edf", "partly.edf", "z.edf")
    out = tmp_path / "out"
    found = run_over(tmp_path / "in", out, home=home, steps=("convert", "stage", "events"), jobs=3)
    outcomes = {Path(one.file).stem: one.outcome for one in found.state.done.values()}
    assert outcomes == {"a": "done", "dies": "failed", "partly": "partly", "z": "done"}
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(row["file"]).stem, row["step"]) for row in rows] == [("dies", ""), ("partly", "stage")]
    assert "its process died (code 9" in rows[0]["error"]
    assert rows[1]["error"] == "no [channels] here"
    assert found.as_dict()["counts"] == {"done": 2, "partly": 1, "failed": 1}
    first = read_state(out)
    assert first is not None
    assert first.done[str(tmp_path / "in" / "a.edf")].skipped == {"events": "no flow"}  # what nobody asked for is no news
    assert results_csv(first).decode().splitlines()[1].split(",")[1] == "done"


def test_two_whose_names_give_one_id_are_never_under_way_together(tmp_path: Path, home: Home) -> None:
    recordings(tmp_path / "in", "alone at home.edf", "alone_at_home.edf", "alone_at HOME.edf")
    found = run_over(tmp_path / "in", tmp_path / "out", home=home, steps=("convert",), jobs=3)
    assert {one.outcome for one in found.state.done.values()} == {"done"}, [one.error for one in found.state.done.values()]


def test_it_goes_on_where_it_was_and_does_anew_what_changed(tmp_path: Path, home: Home) -> None:
    a, b, dies = recordings(tmp_path / "in", "a.edf", "b.edf", "dies.edf")
    out = tmp_path / "out"

    def again(*steps: str) -> tuple[BatchResult, list[str]]:
        (out / "begun.txt").unlink(missing_ok=True)
        found = run_over(tmp_path / "in", out, home=home, steps=steps, resume=True)
        return found, sorted(begun(out)) if (out / "begun.txt").is_file() else []

    assert again("convert")[1] == ["a", "b", "dies"]
    found, worked = again("convert")
    assert (found.reused, worked) == (2, ["dies"])  # what failed is tried again
    dies.unlink()
    b.write_bytes(b"another night")
    os.utime(b, (1, 1))
    assert again("convert")[1] == ["b"]
    assert bytes.fromhex((out / "b" / "hypnogram.csv").read_text()) == b"another night"
    assert again("convert", "stage")[1] == ["a", "b"]
    (out / "a" / "hypnogram.csv").unlink()
    assert again("convert", "stage")[1] == ["a"]
    assert again("convert", "stage")[1] == []
    assert a.is_file()


def test_an_earlier_batch_is_not_run_over_by_mistake(tmp_path: Path, home: Home) -> None:
    recordings(tmp_path / "in", "a.edf")
    run_over(tmp_path / "in", tmp_path / "out", home=home, steps=("convert",))
    with pytest.raises(RequestError, match="--resume"):
        run_over(tmp_path / "in", tmp_path / "out", home=home, steps=("convert",))
    (tmp_path / "out" / "batch.json").write_text('{"format": 1, "options": {}, "recordings": [{"file": 3}]}')
    with pytest.raises(SleepFMError, match="move it away"):
        run_over(tmp_path / "in", tmp_path / "out", home=home, steps=("convert",), resume=True)


def test_cancelling_ends_the_processes_and_keeps_what_is_done(tmp_path: Path, home: Home) -> None:
    recordings(tmp_path / "in", "a.edf", "slow.edf")
    out = tmp_path / "out"

    def stop_at_half(fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1
        if "slow.edf: half" in message and "1 of 2 done" in message:
            raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        run_over(tmp_path / "in", out, home=home, steps=("convert",), jobs=2, progress=stop_at_half)
    pids = [int(line.split()[1]) for line in (out / "begun.txt").read_text().splitlines()]
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    state = read_state(out)
    assert state is not None
    assert [Path(one.file).stem for one in state.done.values()] == ["a"]


def test_a_killed_batch_takes_its_processes_along_and_goes_on(tmp_path: Path, home: Home) -> None:
    _, slow = recordings(tmp_path / "in", "a.edf", "slow.edf")
    out = tmp_path / "out"
    words = (
        "import sys; from pathlib import Path; from sleepfm.library import job_batch; from sleepfm.home import open_home;"
        f"job_batch.WORKER = {DOUBLE!r};"
        "job_batch.run_over(Path(sys.argv[1]), Path(sys.argv[2]), home=open_home(sys.argv[3]), steps=('convert',))"
    )
    root = Path(__file__).parents[2]
    batch = subprocess.Popen([sys.executable, "-c", words, str(tmp_path / "in"), str(out), str(home.root)], cwd=root)
    deadline = time.monotonic() + 60
    while not (out / "begun.txt").is_file() or "slow" not in begun(out):
        assert time.monotonic() < deadline
        assert batch.poll() is None
        time.sleep(0.05)
    batch.kill()
    batch.wait()
    pid = int((out / "begun.txt").read_text().split()[-1])
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=20)
    assert not psutil.pid_exists(pid)
    (out / "begun.txt").unlink()
    slow.rename(slow.with_name("quick.edf"))
    found = run_over(tmp_path / "in", out, home=home, steps=("convert",), resume=True)
    assert (found.reused, begun(out)) == (1, ["quick"])
    assert all(one.outcome is Outcome.DONE for one in found.state.done.values())


def test_a_list_names_files_and_folders_from_where_it_lies(tmp_path: Path, home: Home) -> None:
    recordings(tmp_path / "in", "a.edf", "b.edf")
    text = tmp_path / "list.txt"
    text.write_text('# of May\n\n"in/a.edf"\nin\nin/missing.edf\n', "utf-8")
    assert [file.name for file in listed(text)] == ["a.edf", "b.edf", "missing.edf"]
    found = run_over(text, tmp_path / "out", home=home, steps=("convert",))
    assert [one["error"] for one in found.state.failures] == [
        f"{tmp_path}/in/missing.edf: cannot be opened (No such file or directory); check the path"
    ]
    text.write_text("# nothing\n")
    for wrong, words in ((text, "names no recording"), (tmp_path / "nowhere", "no such folder")):
        with pytest.raises(RequestError, match=words):
            listed(wrong)
    for steps, words in ((("sing",), "there is no step sing"), ((), "choose a step")):
        with pytest.raises(RequestError, match=words):
            run_over(tmp_path / "in", tmp_path / "new", home=home, steps=steps)


def test_as_a_job_it_opens_only_what_the_app_may_read(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_batch, "ensure_running", lambda _home: None)
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    recordings(allowed, "a.edf")
    (secret,) = recordings(other, "secret.edf")
    (allowed / "link.edf").symlink_to(secret)
    change_settings(home, folders=[str(allowed)])
    with Library(home) as library:
        with pytest.raises(RequestError, match="outside the folders"):
            submit_batch(library, other, steps=("convert",), jobs=1)
        job = submit_batch(library, allowed, steps=("convert",), jobs=1, submitted_by="anna")
        assert (job.kind, job.lane, job.submitted_by) == ("batch", Lane.HEAVY, "anna")
        result = run_batch(home, job.parameters | {"job": job.id}, silent)
    assert result["counts"] == {"done": 1, "partly": 0, "failed": 1}
    state = read_state(batch_folder(home, job))
    assert state is not None
    assert "outside the folders" in state.failures[0]["error"]
    assert begun(batch_folder(home, job)) == ["a"]


def test_the_command_prints_one_object_and_exits_1_for_a_bad_one(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings(tmp_path / "in", "night.edf", "dies.edf")
    arguments = ["batch", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--home", str(home.root), "--steps", "convert"]
    assert main([*arguments, "--jobs", "2", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["outcome"]) for one in said["recordings"]] == [("", "failed"), ("night", "done")]
    assert said["counts"] == {"done": 1, "partly": 0, "failed": 1}
    assert main(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    (tmp_path / "in" / "dies.edf").unlink()
    assert main([*arguments, "--resume"]) == 0
    assert "1 of them before" in capsys.readouterr().out
