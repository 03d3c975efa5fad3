"""A backup is one moment of the home, made while others write; what comes back is whole and true, or nothing comes back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sleepfm.administration.app_settings import change_settings, read_settings
from sleepfm.administration.audit import entries
from sleepfm.administration.backup import back_up
from sleepfm.administration.restore import check, restore
from sleepfm.administration.safety_jobs import backups, make_backup, restore_backup, submit_restore
from sleepfm.cli.main import main
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.job_prepare import prepare
from sleepfm.library.job_previews import make_previews
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import JobState, Lane
from tests.make_edf import write_edf

Change = Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]
ROOT = Path(__file__).parents[2]
SHA = "0" * 64
PROVENANCE = {"label": "Anna", "note": "by hand", "source_sha256": SHA}


def make_home(tmp_path: Path) -> Home:
    """Make a home with a prepared study, an uploaded one, a scoring, a model, jobs in every open state and somebody signed in."""
    home = open_home(tmp_path / "home")
    change_settings(home, device="cpu")
    upload = write_edf(home.root / "uploads" / "ab12" / "dropped night.edf", seconds=60)
    write_edf(home.root / "uploads" / "cd34" / "unused.edf", seconds=10)
    (home.models / "mine").mkdir()
    (home.models / "mine" / "weights.safetensors").write_bytes(os.urandom(3_000_000))
    (home.models / "mine" / "model.json").write_text("{}")
    with Library(home) as library:
        study = library.add(write_edf(tmp_path / "data" / "night.edf", seconds=60)).id
        prepare(home, {"study": study}, silent)
        library.store_hash(study, SHA)
        library.store_scoring(
            study, Scoring(stages=np.array([0, 2], dtype=np.int8)), engine="anna", model="", provenance=PROVENANCE
        )
        library.add(upload)
        jobs = library.jobs
        running = jobs.add("stage", lane=Lane.HEAVY, title="Stage", subject=study, parameters={"study": study})
        assert jobs.claim(Lane.HEAVY) is not None
        jobs.set_process(running.id, os.getpid(), 1.0)
        jobs.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": str(home.datasets / "mine"), "stage": False})
        library.connection.execute("INSERT INTO users VALUES ('anna', 'admin', 'hash', 0, NULL, '2026-01-01')")
        library.connection.execute("INSERT INTO sessions VALUES ('token', 'anna', '2026', '2026', '2027')")
    return home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the backup of such a home, for tests that only read it."""
    folder = tmp_path_factory.mktemp("archive")
    return back_up(make_home(folder), folder / "good.tar").path


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_what_comes_back_is_what_was_there_at_its_new_place(home: Home, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "b.tar")
    assert made.left_out["derived"] > 0
    assert made.left_out["unused_uploads"] == 1
    assert os.name != "posix" or stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "data", "home"]
    done = restore(made.path, tmp_path / "elsewhere" / "new")
    assert (done.studies, done.crashed, done.stopped, done.kept) == (2, 1, 1, None)
    new = open_home(tmp_path / "elsewhere" / "new")
    before, after = tree(home.root), tree(new.root)
    kept = set(before) - {name for name in before if "library.sqlite" in name or name.endswith(".lock")}
    kept = {name for name in kept if not name.endswith((".npz", "envelopes.bin")) or name.endswith(("quality.npz", "vitals.npz"))}
    assert {name: before[name] for name in kept - {"uploads/cd34/unused.edf"}} == {
        name: sha for name, sha in after.items() if "library.sqlite" not in name
    }
    assert read_settings(new).device == "cpu"
    assert os.name != "posix" or stat.S_IMODE(new.settings_file.stat().st_mode) == 0o600
    with Library(new) as library:
        assert {study.id: study.path for study in library.studies()} == {
            "night": tmp_path / "data" / "night.edf",
            "dropped_night": new.root / "uploads" / "ab12" / "dropped night.edf",
        }
        library.recording("dropped_night").close()
        assert [one.label for one in library.scorings("night")] == ["Anna"]
        states = {job.kind: job for job in library.jobs.list()}
        assert states["stage"].state is JobState.CRASHED
        assert "was running when the backup was made" in (states["stage"].error or "")
        assert states["stage"].pid is None
        assert states["import"].state is JobState.STOPPED, "an archive starts nothing by itself"
        assert "waited when the backup was made" in (states["import"].error or "")
        assert library.jobs.resume(states["import"].id).state is JobState.QUEUED
        assert states["import"].parameters["folder"] == str(new.datasets / "mine")
        assert library.connection.execute("SELECT count(*) FROM sessions").fetchone()[0] == 0
        assert library.connection.execute("SELECT name FROM users").fetchone()[0] == "anna"
        assert entries(library.connection)[0].action == "restore a backup"
    # what the screen shows is made again by a job that the restored table holds
    assert states["previews"].state is JobState.QUEUED
    made_again = make_previews(new, states["previews"].parameters, silent)
    assert made_again == {"prepared": 2, "failed": []}
    with Library(new) as library:
        assert library.envelope_file("night").is_file()
    assert make_previews(new, states["previews"].parameters, silent)["prepared"] == 0


def test_no_backup_holds_the_identity_providers_secret(home: Home, tmp_path: Path) -> None:
    (home.root / "secrets.toml").write_text('[oidc]\nclient_secret = "of the site"')
    for everything in (False, True):
        made = back_up(home, tmp_path / f"{everything}.tar", everything=everything)
        assert b"of the site" not in made.path.read_bytes()


def test_everything_is_everything_and_links_are_named(home: Home, tmp_path: Path) -> None:
    (home.root / "studies" / "night" / "elsewhere").symlink_to(tmp_path / "data")
    made = back_up(home, tmp_path / "b.tar", everything=True)
    assert made.left_out == {"derived": 0, "derived_bytes": 0, "unused_uploads": 0, "skipped": ["studies/night/elsewhere"]}
    restore(made.path, tmp_path / "new")
    assert (tmp_path / "new" / "studies" / "night" / "envelopes.bin").is_file()
    assert (tmp_path / "new" / "uploads" / "cd34" / "unused.edf").is_file()
    assert not (tmp_path / "new" / "studies" / "night" / "elsewhere").exists()


WRITER = """
import sys, time
import numpy as np
from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Scoring
library, number = Library.open(sys.argv[1]), 0
provenance = {"label": "", "note": "", "source_sha256": "0" * 64}
print("writing", flush=True)
while True:
    number += 1
    study = ("night", "dropped_night")[number % 2]
    stages = np.array([number % 5, number // 5 % 5], dtype=np.int8)
    provenance["label"] = " ".join(map(str, stages))
    library.store_scoring(study, Scoring(stages=stages), engine=f"e{number % 3}", model="", provenance=provenance)
    job = library.jobs.add("stage", lane="heavy", title=str(number), parameters={"n": number})
    library.jobs.request_stop(job.id)
"""


@pytest.fixture
def writer(home: Home) -> Iterator[subprocess.Popen[str]]:
    """Give another process that stores scorings in place of each other and adds jobs, without a pause."""
    with Library(home) as library:
        library.store_hash("dropped_night", SHA)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(home.root)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


def test_a_backup_taken_while_another_process_writes_all_the_time_is_one_moment(
    home: Home, tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    seen = []
    for number in range(4):
        back_up(home, tmp_path / f"{number}.tar")
        restore(tmp_path / f"{number}.tar", tmp_path / f"new{number}")
        with Library.open(tmp_path / f"new{number}") as library:
            rows = library.connection.execute("SELECT study, file FROM scorings").fetchall()
            assert len(rows) >= 3
            # every row has its file, and the file holds what its row says
            stored = [one for study in ("night", "dropped_night") for one in library.scorings(study)]
            assert len(stored) == len(rows)
            for one in stored:
                if one.engine != "anna":
                    assert one.label == " ".join(map(str, one.scoring.stages))
            numbers = sorted(int(job.title) for job in library.jobs.list(limit=100_000) if job.title.isdigit())
            assert numbers == list(range(1, len(numbers) + 1))
            seen.append(len(numbers))
    assert writer.poll() is None
    assert seen == sorted(set(seen)), "the other process went on between the backups"


def test_a_backup_is_stopped_at_any_point_and_leaves_nothing(home: Home, tmp_path: Path) -> None:
    said: list[float] = []
    back_up(home, tmp_path / "whole.tar", progress=lambda fraction, _message: said.append(fraction))
    assert said == sorted(said)
    assert 0 <= said[0] < said[-1] <= 1
    for stop_at in range(0, len(said), 3):
        calls = iter(range(stop_at + 1))

        def progress(_fraction: float, _message: str, calls: Iterator[int] = calls, last: int = stop_at) -> None:
            if next(calls) == last:
                raise Cancelled("stopped by the user")

        with pytest.raises(Cancelled):
            back_up(home, tmp_path / "b.tar", progress=progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "home", "whole.tar"]


def test_nothing_is_written_over_and_not_into_the_home_itself(home: Home, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(RequestError, match="is there already"):
        back_up(home, tmp_path / "b.tar")
    (tmp_path / "dangling.tar").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="is there already"):
        back_up(home, tmp_path / "dangling.tar")
    for inside in (home.root / "b.tar", home.models / "b.tar", home.root):
        with pytest.raises(RequestError, match="lies in the home folder"):
            back_up(home, inside)
    assert (tmp_path / "b.tar").read_text() == "mine"
    assert back_up(home, tmp_path).path.name.startswith("sleepfm-20")


LIMITED = """
import resource, signal, sys
from sleepfm.administration.backup import back_up
from sleepfm.administration.restore import restore
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
what, archive, home = sys.argv[1:]
try:
    back_up(Home(Path(home)), archive) if what == "backup" else restore(archive, home)
except SleepFMError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files to stand for a full disk")
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_full_disk_leaves_nothing_and_is_one_line(home: Home, tmp_path: Path, command: str) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the middle of the model's weights."""
    words = [command, str(tmp_path / "b.tar"), str(home.root)]
    if command == "restore":
        back_up(home, tmp_path / "b.tar")
        words[-1] = str(tmp_path / "new")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert "writing failed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_home_that_is_there_is_kept_beside_and_only_when_asked(home: Home, tmp_path: Path) -> None:
    back_up(home, tmp_path / "b.tar")
    other = open_home(tmp_path / "other")
    restore(tmp_path / "b.tar", other.root)  # nothing but empty folders: as good as new
    (other.root / "note.txt").write_text("mine")
    before = tree(other.root)
    with pytest.raises(RequestError, match=r"something is there already.*--replace"):
        restore(tmp_path / "b.tar", other.root)
    assert tree(other.root) == before
    with Library(other), pytest.raises(RequestError, match="is in use"):
        restore(tmp_path / "b.tar", other.root, replace=True)
    done = restore(tmp_path / "b.tar", other.root, replace=True)
    assert done.kept is not None
    assert (done.kept / "note.txt").read_text() == "mine"
    assert not (other.root / "note.txt").exists()
    with Library(open_home(other.root)) as library:
        assert library.count() == 2
    with pytest.raises(RequestError, match="is no folder"):
        restore(tmp_path / "b.tar", done.kept / "note.txt", replace=True)


def rewrite(archive: Path, out: Path, change: Change) -> Path:
    with tarfile.open(archive) as old, tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as new:
        for member in old:
            source = old.extractfile(member)
            for info, content in change(member, b"" if source is None else source.read()):
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
    return out


def with_manifest(
    change: Callable[[dict[str, object]], None],
) -> Change:
    def changed(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "manifest.json":
            manifest = json.loads(content)
            change(manifest)
            content = json.dumps(manifest).encode()
        return [(member, content)]

    return changed


def added(name: str, sort: bytes = tarfile.REGTYPE, link: str = "") -> Change:
    """Add a member, with its place in the list of files, so that only its name or sort can be what is refused."""
    content = b"x" if sort == tarfile.REGTYPE else b""

    def change(member: tarfile.TarInfo, old: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name != "manifest.json":
            return [(member, old)]
        manifest = json.loads(old)
        manifest["files"][name] = [len(content), hashlib.sha256(content).hexdigest(), 0]
        info = tarfile.TarInfo(f"sleepfm-home/{name}")
        info.type, info.linkname = sort, link
        return [(info, content), (member, json.dumps(manifest).encode())]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (added("../outside.txt"), "no plain file"),
        (added("models/../../../outside.txt"), "no plain file"),
        (added("/outside.txt"), "no plain file"),
        (added("C:\\outside.txt"), "no plain file"),
        (added("models/\x1b[2Jx"), "no plain file"),
        (added("link", tarfile.SYMTYPE, "/etc/passwd"), "no plain file"),
        (added("link", tarfile.LNKTYPE, "/etc/passwd"), "no plain file"),
        (added("device", tarfile.CHRTYPE), "no plain file"),
        (added("pipe", tarfile.FIFOTYPE), "no plain file"),
        (added("folder", tarfile.DIRTYPE), "no plain file"),
        (added("settings.json"), "twice"),
        (added("secrets.toml"), "in no backup"),
        (added("Secrets.TOML"), "in no backup"),
        (lambda m, c: [(m, c), (m, c)], "twice"),
        (lambda m, c: [(m, c)] if m.name != "manifest.json" else [], "its end is missing"),
        (lambda m, c: [(m, c if m.name != "sleepfm-home/settings.json" else c.replace(b"cpu", b"gpu"))], "checksum differs"),
        (lambda m, c: [] if m.name.endswith("model.json") else [(m, c)], "not as its list of files says"),
        (with_manifest(lambda manifest: manifest["files"].pop("settings.json")), "not as its list of files says"),
        (
            with_manifest(lambda manifest: manifest["files"].update({"library.sqlite": [1, "0", 0]})),
            "not as its list of files says",
        ),
        (with_manifest(lambda manifest: manifest.update(format=99)), "newer SleepFM Workbench"),
        (with_manifest(lambda manifest: manifest.update(files="x")), "its list of files is damaged"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused_and_nothing_is_written(
    archive: Path, tmp_path: Path, change: Callable[..., list[tuple[tarfile.TarInfo, bytes]]], said: str
) -> None:
    bad = rewrite(archive, tmp_path / "bad.tar", change)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(SleepFMError, match=said) as refused:
        restore(bad, tmp_path / "new")
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE scorings SET file = '../../../evil.csv'", "which is no name"),
        ("INSERT INTO facts VALUES ('nobody', 'age', '1')", "does not hold together"),
        ("PRAGMA user_version = 999", "newer SleepFM Workbench"),
        (None, "cannot be opened"),
    ],
)
def test_a_table_that_is_damaged_or_hostile_is_refused(archive: Path, tmp_path: Path, statement: str | None, said: str) -> None:
    def change(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name.endswith("library.sqlite"):
            file = tmp_path / "table"
            file.write_bytes(content if statement else b"no table" * 100)
            if statement:
                with closing(sqlite3.connect(file)) as connection:
                    connection.execute(statement)
                    connection.commit()
            content = file.read_bytes()
            change.table = [len(content), hashlib.sha256(content).hexdigest(), 0]  # type: ignore[attr-defined]
        if member.name == "manifest.json":
            manifest = json.loads(content)
            manifest["files"]["library.sqlite"] = change.table  # type: ignore[attr-defined]
            content = json.dumps(manifest).encode()
        return [(member, content)]

    bad = rewrite(archive, tmp_path / "bad.tar", change)
    with pytest.raises(SleepFMError, match=said):
        restore(bad, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_an_archive_cut_short_at_any_place_is_refused(home: Home, tmp_path: Path) -> None:
    shutil.rmtree(home.models / "mine")
    whole = back_up(home, tmp_path / "b.tar").path.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.6, 0.9):
        (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(SleepFMError, match=r"cut.tar"):
            check(tmp_path / "cut.tar")
    for position in range(0, len(whole), len(whole) // 23):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        (tmp_path / "flipped.tar").write_bytes(flipped)
        try:
            manifest = check(tmp_path / "flipped.tar")
        except SleepFMError:
            continue
        # a bit in the padding, or in a time that nobody reads: then all that is restored is as it was
        restore(tmp_path / "flipped.tar", tmp_path / f"new{position}")
        assert manifest.files == check(tmp_path / "b.tar").files


def test_the_commands_say_what_they_did(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "b.tar")
    assert main(["backup", out, "--home", str(home.root), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == out
    assert said["left_out"]["unused_uploads"] == 1
    assert main(["backup", out, "--home", str(home.root)]) == 2
    assert main(["restore", out, "--check", "--home", str(home.root)]) == 0
    assert f"whole, {said['files']} files" in capsys.readouterr().out
    assert main(["restore", out, "--home", str(home.root)]) == 2
    assert "something is there already" in capsys.readouterr().err
    assert main(["restore", out, "--home", str(tmp_path / "new"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["studies"] == 2
    assert main(["restore", str(tmp_path / "none.tar"), "--home", str(tmp_path / "new2")]) == 2
    assert not (tmp_path / "new2").exists()


def test_the_jobs_back_up_into_the_home_and_restore_beside_it(home: Home, tmp_path: Path) -> None:
    (home.root / "backups" / ".sleepfm-killed.part").mkdir(parents=True)
    made = make_backup(home, {"everything": False}, silent)
    assert [path.name for path in (home.root / "backups").iterdir()] == [Path(made["path"]).name]
    assert [str(path) for path in backups(home)] == [made["path"]]
    Path(made["path"]).rename(home.root / "backups" / "sleepfm-20200101.tar")  # as if it were of another day
    made["path"] = str(home.root / "backups" / "sleepfm-20200101.tar")
    again = make_backup(home, {"everything": False}, silent)
    assert Path(again["path"]).stat().st_size < 1.5 * Path(made["path"]).stat().st_size, "a backup does not hold backups"
    done = restore_backup(home, {"archive": made["path"], "into": str(tmp_path / "beside")}, silent)
    assert (done["studies"], done["home"]) == (2, str(tmp_path / "beside"))
    change_settings(home, folders=[str(tmp_path / "data")])
    for archive, into in (
        (str(tmp_path / "other.tar"), str(tmp_path / "x")),
        (made["path"], "/elsewhere/far"),
        (made["path"], str(home.root / "inside")),
    ):
        with pytest.raises(RequestError, match=r"outside the folders|lies in the home"):
            submit_restore(home, archive, into, submitted_by="anna")


def test_writers_wait_only_for_a_moment(home: Home, tmp_path: Path) -> None:
    """Rows are written while the large files are copied: a backup that takes long does not stop the work."""
    written = threading.Event()
    with Library(home) as library:

        def progress(_fraction: float, message: str) -> None:
            if message.startswith("models/mine/weights"):
                library.jobs.add("stage", lane=Lane.HEAVY, title="meanwhile", parameters={"x": 1})
                written.set()

        back_up(home, tmp_path / "b.tar", progress=progress)
    assert written.is_set()
    restore(tmp_path / "b.tar", tmp_path / "new")
    with Library.open(tmp_path / "new") as library:
        assert "meanwhile" in [job.title for job in library.jobs.list()]


def test_a_backup_that_is_not_there_is_said_before_what_is_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "something").write_text("is there")
    with pytest.raises(RequestError, match="there is no such file"):
        restore(tmp_path / "nowhere.tar", tmp_path / "home")
