"""Only what is old and unused is on the list, only what was on the list goes, and nothing else is ever touched."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sleepfm.administration.app_settings import change_settings
from sleepfm.administration.retention import Sort, old_things, tidy
from sleepfm.administration.safety_jobs import tidy_up
from sleepfm.home import Home, open_home
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.runs.table import JobState, Lane
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def aged(path: Path, days: float) -> None:
    at = (NOW - timedelta(days=days)).timestamp()
    for one in (*path.rglob("*"), path) if path.is_dir() else (path,):
        os.utime(one, (at, at), follow_symlinks=False)


def job(library: Library, kind: str, days: float, state: JobState, result: dict[str, object] | None = None) -> str:
    """Add a job that ended so many days ago, with a log and, of training, checkpoints and curves."""
    row = library.jobs.add(kind, lane=Lane.QUICK, title=f"{kind} {days}", parameters={"days": days, "state": state})
    library.jobs.end(row.id, state, result=result)
    finished = (NOW - timedelta(days=days)).isoformat()
    library.connection.execute("UPDATE jobs SET finished_at = ? WHERE id = ?", (finished, row.id))
    folder = library.home.runs / row.id
    (folder / "checkpoints").mkdir(parents=True) if kind == "pretrain" else folder.mkdir(parents=True)
    (folder / "log.txt").write_text("said something")
    if kind == "pretrain":
        (folder / "checkpoints" / "last.pt").write_bytes(b"x" * 1000)
        (folder / "metrics.jsonl").write_text("{}")
    return row.id


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = open_home(tmp_path / "home")
    change_settings(home, retention={"logs_days": 90, "uploads_days": 30, "checkpoints_days": 10, "diagnostics_days": 5})
    return home


def upload(home: Home, name: str, days: float) -> Path:
    path = write_edf(home.root / "uploads" / name / f"{name}.edf", seconds=10)
    aged(path.parent, days)
    return path


def test_each_sort_of_thing_is_on_the_list_when_it_is_old_and_unused(home: Home) -> None:
    bundle(home.models)
    with Library(home) as library:
        old_log = job(library, "stage", 91, JobState.FAILED)
        job(library, "stage", 89, JobState.FAILED)
        shelved = job(library, "pretrain", 11, JobState.FINISHED, {"model": "demo-encoder"})
        job(library, "pretrain", 9, JobState.FINISHED, {"model": "demo-encoder"})
        job(library, "pretrain", 12, JobState.FINISHED, {"model": "gone"})
        job(library, "pretrain", 13, JobState.STOPPED)  # may be resumed
        library.jobs.add("stage", lane=Lane.HEAVY, title="open", parameters={})
        library.add(upload(home, "used", 400))
        library.jobs.add("prepare", lane=Lane.QUICK, title="open", parameters={"path": str(upload(home, "awaited", 400))})
    upload(home, "forgotten", 31)
    upload(home, "young", 29)
    for name, days in (("old.zip", 6), ("new.zip", 4)):
        (home.root / "diagnostics").mkdir(exist_ok=True)
        (home.root / "diagnostics" / name).write_text("x")
        aged(home.root / "diagnostics" / name, days)
    found = {thing.name: thing for thing in old_things(home, NOW)}
    assert {name: thing.sort for name, thing in found.items()} == {
        f"runs/{old_log}/log.txt": Sort.LOG,
        f"runs/{shelved}/checkpoints": Sort.CHECKPOINT,
        "uploads/forgotten": Sort.UPLOAD,
        "diagnostics/old.zip": Sort.DIAGNOSTICS,
    }
    assert next(iter(found)) == f"runs/{old_log}/log.txt", "the oldest first"
    assert found[f"runs/{shelved}/checkpoints"].bytes == 1000
    assert round(found["uploads/forgotten"].age_days) == 31


def tree(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and "library.sqlite" not in path.name)
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_only_what_was_seen_and_still_may_go_goes(home: Home) -> None:
    with Library(home) as library:
        old_log = job(library, "stage", 91, JobState.FINISHED)
        library.add(upload(home, "used", 400))
        upload(home, "forgotten", 31)
        upload(home, "taken", 31)
        before = tree(home.root)
        names = [thing.name for thing in old_things(home, NOW)]
        assert tree(home.root) == before, "looking changes nothing"
        # between the look and the button somebody adds one, and the request itself may be forged
        library.add(home.root / "uploads" / "taken" / "taken.edf")
        forged = ["library.sqlite", "uploads/used", "studies", "../home/uploads", "", "models"]
        done = tidy(home, [*names, *forged], silent, NOW)
    assert done.gone == 2
    assert set(done.kept) == {"uploads/taken", *forged}
    assert set(before) - set(tree(home.root)) == {"uploads/forgotten/forgotten.edf", f"runs/{old_log}/log.txt"}
    assert not (home.runs / old_log).exists()
    assert not (home.root / "uploads" / "forgotten").exists()


def test_a_link_is_never_followed(home: Home, tmp_path: Path) -> None:
    elsewhere = write_edf(tmp_path / "elsewhere" / "night.edf", seconds=10)
    aged(elsewhere.parent, 400)
    (home.root / "uploads").mkdir()
    (home.root / "uploads" / "link").symlink_to(elsewhere.parent)
    (home.root / "diagnostics").symlink_to(elsewhere.parent)
    with Library(home) as library:
        old = job(library, "stage", 91, JobState.FINISHED)
        log = home.runs / old / "log.txt"
        log.unlink()
        log.symlink_to(elsewhere)
    assert old_things(home, NOW) == []
    inside = upload(home, "forgotten", 31)
    (inside.parent / "more").symlink_to(elsewhere.parent)
    aged(inside.parent, 31)
    assert tidy(home, ["uploads/forgotten"], silent, NOW).gone == 1
    assert elsewhere.is_file()


def test_the_job_that_removes_an_upload_does_not_keep_it(home: Home) -> None:
    """Its own parameters name the upload, as those of a job that waits to read it would."""
    upload(home, "forgotten", 4000)
    os.utime(home.root / "uploads" / "forgotten", (1, 1))
    os.utime(home.root / "uploads" / "forgotten" / "forgotten.edf", (1, 1))
    parameters = {"names": ["uploads/forgotten"]}
    with Library(home) as library:
        library.jobs.add("tidy", lane=Lane.QUICK, title="Remove", parameters=parameters)
    assert tidy_up(home, parameters, silent)["gone"] == 1
