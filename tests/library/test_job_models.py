"""Bringing models onto the shelf by jobs: uploads, paths that the app may read, and nothing left behind."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sleepfm.administration.app_settings import read_settings, write_settings
from sleepfm.errors import ModelError, RequestError, SleepFMError
from sleepfm.library import job_models
from sleepfm.library.job_models import (
    FETCH_KIND,
    ImportRequest,
    Upload,
    fetched_megabytes,
    import_files,
    official_missing,
    submit_fetch,
    submit_import,
    submit_uploads,
)
from sleepfm.library.library import Library
from sleepfm.models.archive import pack
from sleepfm.models.importing import import_model
from sleepfm.models.shelf import Shelf
from sleepfm.progress import silent
from sleepfm.runs.kinds import function_of
from sleepfm.runs.table import Job
from tests.models.conftest import CheckpointMaker, checkpoint
from tests.models.made_up_cards import put_card
from tests.models.random_models import ENCODER_CONFIG

__all__ = ["checkpoint"]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr(job_models, "ensure_running", lambda _home: None)
    with Library.open(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def published(checkpoint: CheckpointMaker) -> Path:
    return checkpoint(ENCODER_CONFIG)


def uploads(*files: Path) -> list[Upload]:
    return [Upload(file.name, file.stat().st_size, io.BytesIO(file.read_bytes())) for file in files]


def work(library: Library, job: Job) -> dict[str, object]:
    """Do a job as its worker does: by its kind, from what stands in its row."""
    return function_of(job.kind)(library.home, library.jobs.get(job.id).parameters, silent)


def left_behind(library: Library) -> list[Path]:
    return [path for path in (library.home.root / "uploads").rglob("*") if path.is_file()]


def test_uploaded_files_become_a_model_and_are_gone_afterwards(library: Library, published: Path) -> None:
    job = submit_uploads(library, uploads(*published.iterdir()), ImportRequest("base"), submitted_by="ann")
    assert job.submitted_by == "ann"
    assert len(left_behind(library)) == 2
    assert work(library, job)["model"] == "base"
    assert left_behind(library) == []
    assert Shelf(library.home.models).get("base").card.architecture == "SetTransformer"


def test_an_exported_zip_file_can_be_uploaded(library: Library, published: Path, tmp_path: Path) -> None:
    there = Shelf(tmp_path / "there", tmp_path / "nothing")
    archive = pack(import_model(there, published, "base"), tmp_path / "base.zip")
    assert work(library, submit_uploads(library, uploads(archive), ImportRequest("again")))["model"] == "again"
    assert Shelf(library.home.models).get("again").card.weights_sha256 == there.get("base").card.weights_sha256


def test_a_bad_upload_is_refused_in_one_line_without_the_apps_folders(library: Library, published: Path) -> None:
    (published / "config.json").write_text("not JSON")
    job = submit_uploads(library, uploads(*published.iterdir()), ImportRequest("base"))
    with pytest.raises(ModelError, match=r"^config\.json: not JSON$"):
        work(library, job)
    assert left_behind(library) == []
    assert Shelf(library.home.models).entries() == []


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "no file was chosen"),
        (("best.pkl", "config.json"), "Pickles"),
        (("config.json",), "one weights file or one zip file, not none"),
        (("a.pt", "b.safetensors", "config.json"), "not a.pt, b.safetensors"),
        (("a.zip", "config.json"), "a zip file stands alone"),
        (("x/a.pt", "y/a.pt"), "one weights file"),
        (("../../a.sh",), "is no part of a model"),
    ],
)
def test_files_that_are_not_of_one_model_are_refused_at_once(library: Library, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        submit_uploads(library, [Upload(name, 1, io.BytesIO(b"x")) for name in names], ImportRequest("base"))
    assert left_behind(library) == []
    assert library.jobs.list() == ()


def test_a_name_that_leads_elsewhere_stays_in_its_folder(library: Library) -> None:
    job = submit_uploads(library, [Upload("../../../evil.pt", 1, io.BytesIO(b"x"))], ImportRequest("base"))
    (kept,) = left_behind(library)
    assert kept.parent == Path(job.parameters["path"])
    assert library.home.root in kept.parents


def test_a_model_is_imported_from_a_folder_that_the_app_may_read(library: Library, published: Path, tmp_path: Path) -> None:
    write_settings(library.home, read_settings(library.home).model_copy(update={"folders": (published,)}))
    assert work(library, submit_import(library, str(published), ImportRequest("base")))["model"] == "base"
    (published / "best.pt").rename(tmp_path / "secret.pt")
    (published / "best.pt").symlink_to(tmp_path / "secret.pt")
    job = submit_import(library, str(published), ImportRequest("linked"))
    with pytest.raises(RequestError, match="outside the folders that the app may read"):
        work(library, job)
    for path in (str(tmp_path / "secret.pt"), f"{published}/../secret.pt"):
        with pytest.raises(RequestError, match="outside the folders that the app may read"):
            submit_import(library, path, ImportRequest("base"))


def test_a_path_that_is_not_there_or_a_name_that_cannot_be_is_said_before_anything_is_queued(
    library: Library, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="no such file or folder"):
        submit_import(library, str(tmp_path / "nothing"), ImportRequest("base"))
    with pytest.raises(RequestError, match="model name"):
        submit_import(library, str(tmp_path), ImportRequest("../base"))
    assert library.jobs.list() == ()


def test_pressing_fetch_twice_is_one_download_and_a_broken_off_one_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(shelf: Shelf, _progress: object) -> list[object]:
        folder = shelf.root / ".downloads"
        folder.mkdir()
        (folder / "best.pt.part").write_bytes(b"x" * 2_000_000)
        raise ModelError("cannot fetch")

    assert fetched_megabytes(library.home) == 0.0
    assert submit_fetch(library).id == submit_fetch(library).id
    (job,) = library.jobs.list(kinds=(FETCH_KIND,))
    monkeypatch.setattr(job_models, "fetch_official", broken_off)
    with pytest.raises(SleepFMError, match="cannot fetch"):
        work(library, job)
    assert fetched_megabytes(library.home) == 2.0


def test_what_is_missing_of_the_published_models(library: Library) -> None:
    shelf = Shelf(library.home.models)
    assert official_missing(shelf) == ("sleepfm-base", "sleepfm-staging", "sleepfm-disease")
    put_card(library.home.models, "sleepfm-base")
    shelf.retire("sleepfm-base")
    assert official_missing(shelf) == ("sleepfm-staging", "sleepfm-disease")


def test_parameters_fit_in_a_row(library: Library, published: Path) -> None:
    request = ImportRequest("head", age_scale=100.0, sex_code={"female": 0.0, "male": 1.0})
    job = submit_import(library, str(published), request)
    assert ImportRequest(**json.loads(json.dumps(library.jobs.get(job.id).parameters["request"]))) == request
    with pytest.raises(RequestError, match="describe a disease head"):
        import_files(library.home, library.jobs.get(job.id).parameters, silent)
