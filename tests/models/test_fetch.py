"""Downloading the released models, against a small server on this machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sleepfm.errors import Cancelled, ModelError
from sleepfm.models.card import Task
from sleepfm.models.fetch import download, fetch_official
from sleepfm.models.official import OFFICIAL_MODELS, OfficialFile, OfficialModel, git_blob_id
from sleepfm.models.shelf import Shelf
from tests.models.conftest import CheckpointMaker
from tests.models.random_models import DISEASE_CONFIG, ENCODER_CONFIG, STAGING_CONFIG


@dataclass
class Server:
    """Serves a folder; can forget ranges, break off, or change what it sends."""

    root: Path
    url: str = ""
    ranges: bool = True
    cut_after: int | None = None
    corrupt: bool = False
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = self.root / request.path.lstrip("/")
        wanted = request.headers.get("Range")
        if not path.is_file():
            request.send_error(404)
            return
        content = path.read_bytes()
        if self.corrupt:
            content = b"x" + content[1:]
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0  # type: ignore[index]
        if start >= len(content) and start:
            self.asked.append((path.name, wanted, 416))
            request.send_error(416)
            return
        self.asked.append((path.name, wanted, 206 if start else 200))
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        body = content[start:]
        request.wfile.write(body if self.cut_after is None else body[: self.cut_after])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    state = Server(tmp_path / "repository")
    state.root.mkdir()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def big(server: Server) -> OfficialFile:
    path = server.root / "weights" / "best.pt"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 4000)
    return OfficialFile("weights/best.pt", git_blob_id(path))


def fetched(server: Server, file: OfficialFile, tmp_path: Path) -> bytes:
    download(f"{server.url}/{file.path}", tmp_path / "best.pt", file)
    return (tmp_path / "best.pt").read_bytes()


def original(server: Server, file: OfficialFile) -> bytes:
    return (server.root / file.path).read_bytes()


def test_git_blob_id_is_gits(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello world\n")
    assert git_blob_id(tmp_path / "a") == "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"  # git hash-object


def test_a_download_reports_itself_and_is_not_repeated(server: Server, big: OfficialFile, tmp_path: Path) -> None:
    seen: list[float] = []
    download(f"{server.url}/{big.path}", tmp_path / "best.pt", big, lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert fetched(server, big, tmp_path) == original(server, big)
    assert len(server.asked) == 1


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(server: Server, big: OfficialFile, tmp_path: Path) -> None:
    server.cut_after = 300_000
    with pytest.raises(ModelError, match="it resumes"):
        fetched(server, big, tmp_path)
    assert not (tmp_path / "best.pt").exists()
    server.cut_after = None
    assert fetched(server, big, tmp_path) == original(server, big)
    have = server.asked[1][1]
    assert have is not None
    assert int(have.removeprefix("bytes=").rstrip("-")) > 0
    assert server.asked[1][2] == 206
    assert list(tmp_path.glob("*.part")) == []


def test_a_server_that_knows_no_ranges_sends_it_all_again(server: Server, big: OfficialFile, tmp_path: Path) -> None:
    (tmp_path / "best.pt.part").write_bytes(original(server, big)[:1000])
    server.ranges = False
    assert fetched(server, big, tmp_path) == original(server, big)
    assert [status for *_, status in server.asked] == [200]


@pytest.mark.parametrize("stale", [b"other bytes", None])
def test_a_stale_part_is_dropped_and_a_whole_one_taken(
    server: Server, big: OfficialFile, tmp_path: Path, stale: bytes | None
) -> None:
    (tmp_path / "best.pt.part").write_bytes(original(server, big) if stale is None else stale)
    assert fetched(server, big, tmp_path) == original(server, big)
    assert [status for *_, status in server.asked] == ([416] if stale is None else [206, 200])


def test_content_that_is_not_the_published_one_is_refused(server: Server, big: OfficialFile, tmp_path: Path) -> None:
    server.corrupt = True
    with pytest.raises(ModelError, match="not the published file"):
        fetched(server, big, tmp_path)
    assert list(tmp_path.glob("best.pt*")) == []


def test_a_missing_file_says_so(server: Server, big: OfficialFile, tmp_path: Path) -> None:
    (server.root / big.path).unlink()
    with pytest.raises(ModelError, match="HTTP 404"):
        fetched(server, big, tmp_path)


def test_offline_is_one_clear_line(shelf: Shelf) -> None:
    with pytest.raises(ModelError, match=r"cannot fetch .*go online.*models import") as error:
        fetch_official(shelf, base_url="http://127.0.0.1:9")
    assert "\n" not in str(error.value)
    assert shelf.entries() == []


@pytest.fixture
def released(server: Server, checkpoint: CheckpointMaker, monkeypatch: pytest.MonkeyPatch) -> tuple[OfficialModel, ...]:
    """Small models laid out like the released ones."""
    models = []
    configs = (ENCODER_CONFIG, STAGING_CONFIG, DISEASE_CONFIG)
    for model, config in zip(OFFICIAL_MODELS, configs, strict=True):
        folder = checkpoint(config, model.name, bare=config is not ENCODER_CONFIG)
        files = {"weights": (folder / "best.pt", model.weights.path), "config": (folder / "config.json", model.config.path)}
        if model.labels is not None:
            labels = folder / "labels.csv"
            labels.write_text("label_idx,phecode,phenotype\n0,1,a\n1,2,b\n2,3,c\n")
            files["labels"] = (labels, model.labels.path)
        made = {}
        for name, (source, path) in files.items():
            target = server.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            made[name] = OfficialFile(path, git_blob_id(source))
        models.append(OfficialModel(model.name, trained_on=model.trained_on, training_data=model.training_data, **made))
    monkeypatch.setattr("sleepfm.models.official.OFFICIAL_MODELS", tuple(models))
    return tuple(models)


def test_the_released_models_come_onto_the_shelf(shelf: Shelf, server: Server, released: tuple[OfficialModel, ...]) -> None:
    seen: list[float] = []
    entries = fetch_official(shelf, lambda f, _: seen.append(f), base_url=server.url, models=released)
    assert [(e.name, e.card.task) for e in entries] == [
        ("sleepfm-base", Task.ENCODER),
        ("sleepfm-staging", Task.STAGING),
        ("sleepfm-disease", Task.DISEASE),
    ]
    assert all(entry.card.real and entry.card.licence == "MIT" for entry in entries)
    assert all(shelf.encoder_of(entry.card) == entries[0] for entry in entries[1:])
    picked = shelf.pick(Task.STAGING)
    assert picked is not None
    assert picked.name == "sleepfm-staging"
    assert not isinstance(entries[2].card.labels, str)
    assert len(entries[2].card.labels) == 3
    assert entries[2].card.demographics is not None
    assert not entries[2].card.demographics.known
    assert seen == sorted(seen)
    on_shelf = sorted(path.name for path in shelf.root.iterdir() if path.is_dir())
    assert on_shelf == ["sleepfm-base", "sleepfm-disease", "sleepfm-staging"]
    assert [e.card.weights_sha256 for e in fetch_official(shelf, base_url=server.url, models=released)] == [
        e.card.weights_sha256 for e in entries
    ]


def test_cancelling_keeps_what_came_and_imports_nothing(
    shelf: Shelf, server: Server, released: tuple[OfficialModel, ...]
) -> None:
    def cancel(fraction: float, _: str) -> None:
        if fraction > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch_official(shelf, cancel, base_url=server.url, models=released)
    assert shelf.entries() == []
    before = len(server.asked)
    assert len(fetch_official(shelf, base_url=server.url, models=released)) == 3
    names = [(name, wanted) for name, wanted, _ in server.asked[before:]]
    assert len(names) < 7


def test_the_published_table_is_complete() -> None:
    files = [f for model in OFFICIAL_MODELS for f in (model.weights, model.config, model.labels) if f]
    assert len(files) == 7
    assert all(re.fullmatch("[0-9a-f]{40}", file.blob) for file in files)
    assert len({file.blob for file in files}) == 7
