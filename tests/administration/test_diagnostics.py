"""Names, ids, dates and paths are planted wherever people or files put them; nothing of it is in the bundle."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.app_settings import AppSettings, write_settings
from sleepfm.administration.audit import record
from sleepfm.administration.diagnostics import write_diagnostics
from sleepfm.administration.readable_folders import whole_machine
from sleepfm.administration.roles import Role
from sleepfm.administration.scrubbing import Scrubber
from sleepfm.cli.main import main
from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.runs.launchers.cluster_settings import ClusterSettings
from sleepfm.runs.table import JobState, Lane
from tests.make_edf import write_edf

# the last is a word of the software's own messages, the one before stands in its code: as names they go all the same
NAMES = ("Featherstonehaugh", "Müller-Lüdenscheidt", "Nguyễn", "王小明", "Cholmondeley", "Mark", "Stage")
DATES = ("1953-04-17", "17.04.1953", "04/17/53", "17-APR-1953", "20261119T2230")
NUMBERS = ("4711123", "MRN-00471", "SN8841", "93")
SECRETS = ("hunter2-password", "sk-abcdef0123456789", "xyzzy")
TRACEBACK = """Traceback (most recent call last):
  File "{package}", line 120, in add
    with open_recording(file) as recording:
  File "/data/{name}/plugin.py", line 7, in {name}
sleepfm.errors.RecordingError: /data/{name}/{name} {date}.edf: patient {name}, born {date}, MRN {number}, cannot be read
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    root = tmp_path / "Cholmondeley clinic"
    home = open_home(root / "home")
    setup = ("export TOKEN=hunter2-password",)
    cluster = ClusterSettings(enabled=True, partition="xyzzy", account="xyzzy", python="/opt/Mark/bin/python", setup=setup)
    write_settings(home, AppSettings(folders=(root / "Featherstonehaugh",), cluster=cluster))
    package = Path(facts.__file__).with_name("library.py")
    with whole_machine(), Library(home) as library:
        Accounts(library.connection).add("cholmondeley@featherstonehaugh.org", Role.ADMIN, "hunter2-password", by="Mark")
        for number, name in enumerate(NAMES):
            date, mrn = DATES[number % len(DATES)], NUMBERS[number % len(NUMBERS)]
            label = f"C4 {name}"[:16].strip() if name.isascii() else "C4"
            path = write_edf(root / name / f"{name} {date.replace('/', '.')} {mrn}.edf", seconds=10, labels=(label,))
            study = library.add(path).id
            known = {facts.SUBJECT: f"{mrn} {name}", facts.SITE: "Cholmondeley clinic", "diagnosis": f"{name} {date}"}
            facts.store_many(library, {study: known})
            parameters = {"study": study, "note": name}
            job = library.jobs.add("stage", lane=Lane.HEAVY, title=f"Stage {name}", subject=study, parameters=parameters)
            library.jobs.annotate(job.id, f"{name} born {date}")
            library.connection.execute("UPDATE jobs SET message = ? WHERE id = ?", (f"{name} of {mrn}", job.id))
            error = f"{path}: cannot be read; {name} ({date}), MRN {mrn}, token sk-abcdef0123456789"
            library.jobs.end(job.id, JobState.FAILED, error=error)
            log = home.runs / job.id / "log.txt"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(TRACEBACK.format(name=name, date=date, number=mrn, package=package))
        subsets.save(library, "Featherstonehaugh family", [study], note="all of 1953-04-17")
        record(library.connection, "Mark", "looked at", "Featherstonehaugh", {"born": "1953-04-17"})
    (home.models / "Featherstonehaugh-encoder").mkdir()
    return home


def bundle(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def test_nothing_that_names_a_patient_a_user_or_a_place_is_in_the_bundle(home: Home, tmp_path: Path) -> None:
    texts = bundle(write_diagnostics(home, tmp_path / "d.zip"))
    said_by_people = "\n".join(texts[name] for name in texts if name not in {"README.txt", "about.json"}).lower()
    everything = "\n".join((*texts, *texts.values())).lower()
    for planted in (
        *NAMES[:-1],
        *DATES,
        *NUMBERS[:-1],
        *SECRETS,
        "lüdenscheidt",
        "1953",
        "00471",
        "8841",
        "clinic",
        "plugin",
    ):
        assert planted.lower() not in everything, planted
    assert str(tmp_path).lower() not in everything
    # a name that is also a word of the software is gone from whatever people or files had a hand in
    assert "stage" not in said_by_people.replace('"kind": "stage"', "")
    # and dates of jobs are told as how long ago
    assert "202" not in said_by_people


def test_what_helps_is_still_there(home: Home, tmp_path: Path) -> None:
    texts = bundle(write_diagnostics(home, tmp_path / "d.zip"))
    about, errors = json.loads(texts["about.json"]), json.loads(texts["errors.json"])
    assert about["library"]["rows"]["studies"] == len(NAMES)
    assert about["library"]["jobs"] == {"stage failed": len(NAMES)}
    assert about["settings"]["cluster"]["setup"] == "1 lines"
    assert about["settings"]["cluster"]["partition"] == "set"
    assert about["software"]["packages"]["numpy"]
    assert len(errors) == len(NAMES)
    assert all("cannot be read" in error["error"] and error["state"] == "failed" for error in errors)
    assert 'File "sleepfm/library/library.py", line 120, in add' in texts["logs/1.txt"]
    assert "with open_recording(file) as recording:" in texts["logs/1.txt"]
    assert "line 7, in <" in texts["logs/1.txt"]


def test_a_damaged_library_and_settings_still_give_a_bundle(home: Home, tmp_path: Path) -> None:
    home.database.write_bytes(b"no table")
    home.settings_file.write_text("{")
    about = json.loads(bundle(write_diagnostics(home, tmp_path / "d.zip"))["about.json"])
    assert "cannot be opened" in about["library"]
    assert str(home.root) not in json.dumps(about)
    assert "cannot be read" in about["settings"]


def test_the_command_writes_it_and_never_over_another(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d.zip"
    assert main(["diagnostics", str(out), "--home", str(home.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out)}
    assert main(["diagnostics", str(out), "--home", str(home.root)]) == 2
    with pytest.raises(RequestError, match="is there already"):
        write_diagnostics(home, out)


UNSAID = st.text(st.characters(categories=("L",)), max_size=12).map("zqx".__add__)
AROUND = st.text(max_size=20)


@settings(max_examples=60, deadline=None)
@given(name=UNSAID, number=st.integers(10, 10**9), before=AROUND, after=AROUND)
def test_a_word_that_the_software_never_says_and_a_number_never_stay(name: str, number: int, before: str, after: str) -> None:
    scrubbed = Scrubber([]).scrub(f"{before} {name} {number} {after}")
    assert name not in scrubbed
    assert str(number) not in re.sub("<[a-z]+ [0-9]+>", "", scrubbed)
    assert scrubbed.isascii()


@pytest.mark.parametrize("word", ["Traceback", "encoder", "memory", "SIGKILL", "embeddings"])
def test_a_word_of_the_software_goes_when_the_library_knows_it_as_a_name(word: str) -> None:
    said = f"{word} {word.upper()} {word.lower()}: cannot be read"
    assert word in Scrubber([]).scrub(said)
    scrubbed = Scrubber([f"/data/{word.lower()}_01.edf"]).scrub(said)
    assert word.lower() not in scrubbed.lower()
    assert scrubbed.endswith(": cannot be read")
