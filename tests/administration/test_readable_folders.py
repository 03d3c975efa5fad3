"""Nothing outside the named folders is opened by the app, however the path is written and wherever links lead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.administration.app_settings import change_settings
from sleepfm.administration.readable_folders import (
    ReadableFolders,
    require_data_readable_here,
    require_folders_named,
    require_readable,
    whole_machine,
)
from sleepfm.cli.main import main
from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.library.batch_state import read_state
from sleepfm.library.job_batch import listed, run_batch
from sleepfm.library.job_dataset import make_dataset
from sleepfm.library.job_import import import_folder
from sleepfm.library.job_prepare import prepare
from sleepfm.library.job_training import run_pretrain
from sleepfm.library.library import Library
from sleepfm.library.training_data import LibraryChoice, dataset_parameters
from sleepfm.progress import silent
from sleepfm.recording.opening import open_recording
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.signed_in import ask_for_sign_in
from tests.make_edf import write_edf
from tests.wfdb_files import write_record

INSIDE, OUTSIDE = "inside", "outside"
JOB = """
import sys
from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.home import open_home

require_readable_here(open_home(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def allowed(home: Home, tmp_path: Path) -> Path:
    folder = tmp_path / "psg"
    folder.mkdir()
    change_settings(home, folders=[str(folder)])
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    return folder


# what a name in a path may be: the allowed folder, what only looks like it, folders below, links, and steps up
NAMES = ["psg", "PSG", "psg-more", "ps", "deep", "secret.edf", "link0", "link1", "link2", "gone", "..", "."]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=6).map("/".join)
LINKS = st.tuples(
    st.sampled_from(["psg", "psg/deep", "psg-more", "PSG", "."]),
    st.sampled_from(["link0", "link1", "link2"]),
    PATHS,
    st.booleans(),
)


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """Give a folder with a file in each of its folders that says where it was written."""
    root = Path(os.path.realpath(tempfile.mkdtemp()))
    for folder in ("psg/deep", "psg/deep/deep", "PSG/deep", "psg-more/deep", "ps/deep", "deep"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        inside = Path(folder).parts[0] == "psg"
        for where in (root / folder, (root / folder).parent):
            if where != root:
                (where / "secret.edf").write_text(INSIDE if inside else OUTSIDE)
    (root / "secret.edf").write_text(OUTSIDE)
    yield root
    shutil.rmtree(root)


@settings(max_examples=150, deadline=None)
@given(links=st.lists(LINKS, max_size=6), asked=st.lists(PATHS, min_size=1, max_size=8))
def test_what_passes_was_written_inside_and_what_is_refused_was_not(
    tree: Path, links: list[tuple[str, str, str, bool]], asked: list[str]
) -> None:
    """What the system opens under a path is compared with what was said of the path."""
    made: list[Path] = []
    try:
        for place, name, target, absolute in links:
            link = tree / place / name
            if not os.path.lexists(link):
                link.symlink_to(f"{tree}/{target}" if absolute else target)
                made.append(link)
        folders = ReadableFolders((tree / "psg",), ())
        through_links = [f"{place}/{name}" for place, name, _, _ in links]
        for path in (f"{tree}/{text}" for text in [*asked, *through_links]):
            for text in (path, f"{path}/secret.edf"):
                try:
                    real = folders.require(text)
                except RequestError:
                    real = None
                try:
                    held = Path(text).read_text()
                except OSError:
                    continue  # nothing to open there: whatever was said does no harm
                assert (held == INSIDE) is (real is not None), text
                assert real is None or real.read_text() == INSIDE
    finally:
        for link in made:
            link.unlink()


@pytest.mark.parametrize(
    "spell",
    [
        lambda _allowed, file: str(file),
        lambda allowed, file: f"{allowed}/../{file.parent.name}/{file.name}",
        lambda allowed, file: f"{allowed}/gone/../../{file.parent.name}/{file.name}",
        lambda allowed, file: f"{allowed}{os.sep}{os.sep}..{os.sep}.{os.sep}{file.parent.name}{os.sep}{file.name}",
        lambda _allowed, file: os.path.relpath(file),
    ],
)
def test_a_path_outside_is_refused_in_every_spelling(
    home: Home, allowed: Path, elsewhere: Path, spell: Callable[[Path, Path], str]
) -> None:
    file = write_edf(elsewhere / "night.edf", seconds=10)
    with pytest.raises(RequestError, match=r"is outside the folders that the app may read \(.*psg\).*can allow .*private under"):
        require_readable(home, spell(allowed, file))
    with Library(home) as library, pytest.raises(RequestError, match="outside"):
        library.add(spell(allowed, file))


@pytest.mark.usefixtures("allowed")
def test_the_same_is_said_whether_there_is_something_or_not(home: Home, elsewhere: Path) -> None:
    (elsewhere / "there.edf").touch()
    said = []
    for name in ("there.edf", "gone1.edf"):
        with pytest.raises(RequestError) as refused:
            require_readable(home, elsewhere / name)
        said.append(str(refused.value).replace(name, "NAME"))
    assert said[0] == said[1]


@pytest.mark.parametrize("text", ["/x\0y", "~nobody-of-this-name/x.edf", "/ring/a", f"/{'n' * 5000}.edf", "/d" * 4000])
def test_a_path_that_cannot_be_followed_is_one_line(home: Home, tmp_path: Path, text: str) -> None:
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring" / "a").symlink_to(tmp_path / "ring" / "b")
    (tmp_path / "ring" / "b").symlink_to(tmp_path / "ring" / "a")
    with pytest.raises(RequestError, match="cannot be followed") as refused:
        require_readable(home, f"{tmp_path}{text}" if text.startswith("/ring") else text)
    assert "\n" not in str(refused.value)
    assert "\0" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_without_a_list_everything_is_readable_and_an_address_that_others_reach_needs_one(home: Home, elsewhere: Path) -> None:
    assert require_readable(home, elsewhere) == elsewhere.resolve()
    with pytest.raises(RequestError, match=r"name them under Settings, or write them into .*settings.json"):
        require_folders_named(home)
    change_settings(home, folders=[])
    require_folders_named(home)
    with pytest.raises(RequestError, match="none is named"):
        require_readable(home, elsewhere)


def test_where_people_sign_in_settings_that_went_open_nothing_more(home: Home, elsewhere: Path) -> None:
    ask_for_sign_in(home)
    try:
        with pytest.raises(RequestError, match="none is named"):
            require_readable(home, elsewhere)
        assert require_readable(home, home.root / "uploads" / "a.edf")
        # its background jobs are other processes
        words = [sys.executable, "-c", JOB, str(home.root), str(elsewhere)]
        job = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        assert "none is named" in job.stderr
    finally:
        ask_for_sign_in(None)
    assert require_readable(home, elsewhere) == elsewhere.resolve()


@pytest.mark.usefixtures("allowed")
def test_the_apps_own_folders_are_readable_but_not_the_library_nor_what_a_link_in_them_leads_to(
    home: Home, elsewhere: Path
) -> None:
    upload = home.root / "uploads" / "abc" / "night.edf"
    assert require_readable(home, upload) == upload.resolve()
    for file in (home.database, home.settings_file, home.root):
        with pytest.raises(RequestError, match="outside"):
            require_readable(home, file)
    upload.parent.mkdir(parents=True)
    upload.symlink_to(elsewhere / "night.edf")
    with pytest.raises(RequestError, match=r"leads to .*private"):
        require_readable(home, upload)


def test_a_named_folder_may_itself_be_a_link_and_one_that_is_gone_opens_nothing(
    home: Home, elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(elsewhere)
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    change_settings(home, folders=[str(tmp_path / "gone"), str(tmp_path / "ring"), str(tmp_path / "alias")])
    assert require_readable(home, elsewhere / "night.edf") == elsewhere.resolve() / "night.edf"
    with pytest.raises(RequestError, match="outside"):
        require_readable(home, tmp_path / "other.edf")


def test_a_study_whose_folder_is_taken_off_the_list_or_that_becomes_a_link_is_not_opened_any_more(
    home: Home, allowed: Path, elsewhere: Path
) -> None:
    secret = write_edf(elsewhere / "secret.edf", seconds=10)
    file = write_edf(allowed / "night.edf", seconds=10)
    source = LibrarySource(home)
    with Library(home) as library:
        study = library.add(file).id
        assert source.recording(study).duration_s == 10  # and it is kept open from here on
        file.unlink()
        file.symlink_to(secret)
        for opened in (
            lambda: library.recording(study),
            lambda: source.recording(study),
            lambda: library.correct_channel(study, 0, None),
        ):
            with pytest.raises(RequestError, match="leads to"):
                opened()
        change_settings(home, folders=[str(elsewhere)])
        with pytest.raises(RequestError, match="outside"):
            library.add(allowed / "another.edf")
        assert source.recording(study).duration_s == 10  # what the link leads to is allowed now


def test_a_link_that_is_turned_after_the_look_opens_what_was_looked_at(
    home: Home, allowed: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_edf(elsewhere / "night.edf", seconds=20)
    (allowed / "disk").mkdir()
    write_edf(allowed / "disk" / "night.edf", seconds=10)
    link = allowed / "link"
    link.symlink_to(allowed / "disk")

    def turned(path: Path, **how: bool) -> object:
        link.unlink()
        link.symlink_to(elsewhere)
        return open_recording(path, **how)

    with Library(home) as library:
        study = library.add(link / "night.edf").id
        assert library.study(study).path == link / "night.edf"
        monkeypatch.setattr("sleepfm.library.library.open_recording", turned)
        with closing(library.recording(study)) as recording:
            assert recording.duration_s == 10


def test_the_parts_of_a_record_are_looked_at_one_by_one(home: Home, allowed: Path, elsewhere: Path) -> None:
    header = write_record(allowed, "night", np.zeros((2000, 1), dtype=np.int16), ["C4-M1"])
    signals = header.with_suffix(".mat")
    with Library(home) as library:
        study = library.add(header).id
        signals.rename(elsewhere / "night.mat")
        signals.symlink_to(elsewhere / "night.mat")
        with pytest.raises(RequestError, match=r"night.mat: leads to .*private"):
            library.recording(study)


def failures(home: Home, text: Path) -> list[dict[str, str]]:
    """Return what failed of a batch over a list."""
    run_batch(home, {"inputs": str(text), "steps": ["convert"], "jobs": 1, "job": "batch"}, silent)
    state = read_state(home.runs / "batch" / "results")
    assert state is not None
    return state.failures


def test_they_are_looked_at_where_the_record_is_opened(home: Home, allowed: Path, elsewhere: Path) -> None:
    samples = np.zeros((2000, 1), dtype=np.int16)
    header = write_record(allowed / "other", "night", samples, ["C4-M1"])
    write_record(allowed, "night", samples, ["C4-M1"])
    (allowed / "night.hea").unlink()
    (allowed / "night.hea").symlink_to(header)  # beside the link lies a harmless signal file, beside the header none
    header.with_suffix(".mat").unlink()
    header.with_suffix(".mat").symlink_to(write_record(elsewhere, "night", samples, ["C4-M1"]).with_suffix(".mat"))
    text = allowed / "list.txt"
    text.write_text("night.hea\n")
    with Library(home) as library, pytest.raises(RequestError, match=r"night.mat: leads to .*private"):
        library.add(allowed / "night.hea")
    assert ["leads to" in one["error"] for one in failures(home, text)] == [True]


@pytest.mark.parametrize("swapped", ["night.hea", "night.mat", "night.edf"])
def test_a_file_that_becomes_a_link_while_it_is_opened_is_not_read(
    home: Home, allowed: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    samples = np.zeros((2000, 1), dtype=np.int16)
    for folder in (allowed, elsewhere):
        write_record(folder, "night", samples, ["C4-M1"])
        write_edf(folder / "night.edf", seconds=10)
    file, whole = allowed / swapped, Path.open
    with Library(home) as library:
        study = library.add(file.with_suffix(".hea") if swapped == "night.mat" else file).id

        def turned(path: Path, *how: Any, **more: Any) -> Any:
            if path == file:  # between the look at the path and its opening
                file.unlink()
                file.symlink_to(elsewhere / swapped)
            return whole(path, *how, **more)

        monkeypatch.setattr("sleepfm.recording._source.Path.open", turned)
        with pytest.raises(RequestError, match="outside"):
            library.recording(study)
    assert file.is_symlink()


def test_a_list_shows_nothing_of_a_folder_outside(home: Home, allowed: Path, elsewhere: Path) -> None:
    write_edf(elsewhere / "Doe_Jane.edf", seconds=10)
    text = allowed / "list.txt"
    text.write_text(f"{elsewhere}\n~nobody-of-this-name/night.edf\n")
    assert listed(text, partial(require_readable, home)) == [elsewhere, allowed / "~nobody-of-this-name" / "night.edf"]
    failed = failures(home, text)
    assert len(failed) == 2
    assert "Doe" not in str(failed)


def test_a_dataset_takes_no_events_from_a_link_that_leads_outside(home: Home, allowed: Path, elsewhere: Path) -> None:
    (elsewhere / "events.csv").write_text("Start,Stop,Event,Channel,Source\n0,10,Hypopnea,,x\n")
    for name in ("a", "b"):
        write_edf(allowed / f"{name}.edf", seconds=60)
        (allowed / f"{name}_events.csv").symlink_to(elsewhere / "events.csv")
    with Library(home) as library:
        for name in ("a", "b"):
            library.add(allowed / f"{name}.edf")
        asked = dataset_parameters(library, "set", LibraryChoice(), {"pretrain": 1.0}, 1)
    made = make_dataset(home, asked, silent)
    assert not list((Path(made["folder"]) / "events").iterdir())


def test_a_folder_import_leaves_out_links_that_lead_outside(home: Home, allowed: Path, elsewhere: Path) -> None:
    write_edf(allowed / "good.edf", seconds=60)
    (allowed / "bad.edf").symlink_to(write_edf(elsewhere / "secret.edf", seconds=60))
    (elsewhere / "scoring.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,0\n30,60,Stage 2,2\n")
    (allowed / "good.csv").symlink_to(elsewhere / "scoring.csv")
    (elsewhere / "cohort.csv").write_text("Study ID,age\ngood,61\n")
    (allowed / "cohort.csv").symlink_to(elsewhere / "cohort.csv")
    done = import_folder(home, {"folder": str(allowed), "stage": False}, silent)
    assert done["added"] == ["good"]
    assert {Path(one["file"]).name for one in done["failed"]} == {"bad.edf", "good.csv", "cohort.csv"}
    assert all("leads to" in one["error"] for one in done["failed"])
    assert done["known"] == done["scored"] == []
    with pytest.raises(RequestError, match="outside"):
        import_folder(home, {"folder": str(elsewhere), "stage": False}, silent)
    with pytest.raises(RequestError, match="leads to"):  # it was a file when the job was queued, and is a link when it runs
        prepare(home, {"study": "good", "scoring": str(allowed / "good.csv")}, silent)


@pytest.mark.usefixtures("allowed")
def test_a_command_opens_what_its_user_may_read_and_the_app_does_not_open_it_afterwards(
    home: Home, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_edf(elsewhere / "night.edf", seconds=10)
    with whole_machine(), Library(home) as library:
        library.add(elsewhere / "night.edf")
        library.recording("night").close()
    with Library(home) as library, pytest.raises(RequestError, match="outside"):
        library.recording("night")
    assert main(["cohort", "show", "--home", str(home.root)]) in (0, 2)
    with Library(home) as library, pytest.raises(RequestError, match="outside"):
        library.recording("night")  # a command that ran in this process before does not open it for the app
    capsys.readouterr()


def test_data_for_training_may_hold_no_link_that_leads_outside(home: Home, allowed: Path, elsewhere: Path) -> None:
    (allowed / "signals" / "deep").mkdir(parents=True)
    (allowed / "signals" / "a.hdf5").touch()
    (allowed / "signals" / "deep" / "b.hdf5").symlink_to(allowed / "signals" / "a.hdf5")
    require_data_readable_here(home, [allowed / "signals", allowed / "signals" / "a.hdf5"])
    (elsewhere / "c.hdf5").touch()
    for link, target in (("deep/c.hdf5", elsewhere / "c.hdf5"), ("more", elsewhere)):
        (allowed / "signals" / link).symlink_to(target)
        with pytest.raises(RequestError, match=r"leads to .*private"):
            require_data_readable_here(home, [allowed / "signals"])
        with whole_machine():
            require_data_readable_here(home, [allowed / "signals"])
        (allowed / "signals" / link).unlink()
    data = {"signals": [str(allowed / "signals")], "splits": str(elsewhere / "splits.json")}
    with pytest.raises(RequestError, match=r"splits.json: is outside the folders"):
        run_pretrain(home, {"config": {"name": "x", "data": data}, "job": "20261120-000000-abcdef"}, silent)
    change_settings(home, folders=None)
    (allowed / "signals" / "c.hdf5").symlink_to(elsewhere / "c.hdf5")
    require_data_readable_here(home, [allowed / "signals"])
