"""A model as a zip file, there and back; and files from strangers, which end in one line with nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sleepfm.errors import ModelError, RequestError, SleepFMError
from sleepfm.models.archive import pack
from sleepfm.models.importing import import_model
from sleepfm.models.shelf import Shelf
from tests.models.conftest import CheckpointMaker
from tests.models.random_models import ENCODER_CONFIG, STAGING_CONFIG, random_network


class Runs:
    """What a pickle from a stranger does when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/sleepfm-pickle-was-run",)


@pytest.fixture
def packed(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> Path:
    return pack(import_model(shelf, checkpoint(ENCODER_CONFIG), "base"), tmp_path / "base.zip")


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # ZipInfo itself would tidy it
            archive.writestr(info, content)
    return path


def refused(shelf: Shelf, path: Path, says: str, name: str = "evil") -> None:
    """Check that an import is refused in one line, and that neither the shelf nor its surroundings hold anything of it."""
    around = path.parent
    before = sorted(str(one) for one in around.rglob("*"))
    with pytest.raises(SleepFMError, match=says) as caught:
        import_model(shelf, path, name)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert sorted(str(one) for one in around.rglob("*")) == before
    assert not Path("/tmp/sleepfm-pickle-was-run").exists()


def test_a_model_comes_back_from_its_zip_file_as_it_was(shelf: Shelf, packed: Path, tmp_path: Path) -> None:
    there = Shelf(tmp_path / "there", tmp_path / "nothing")
    seen: list[float] = []
    entry = import_model(there, packed, "base", progress=lambda fraction, _: seen.append(fraction))
    original = shelf.get("base").card
    assert entry.card.model_copy(update={"imported_at": original.imported_at}) == original
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert sorted(zipfile.ZipFile(packed).namelist()) == ["base/README.md", "base/model.json", "base/weights.safetensors"]


def test_a_published_checkpoint_may_come_as_a_zip_file(shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    files = {f"model_base/{file.name}": file.read_bytes() for file in folder.iterdir()}
    junk = {"__MACOSX/model_base/._best.pt": b"x", "model_base/.DS_Store": b"x"}
    assert import_model(shelf, zipped(tmp_path / "made.zip", files | junk), "base").name == "base"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../model.json", "outside its folder"),
        ("base/../../model.json", "outside its folder"),
        ("/etc/model.json", "outside its folder"),
        ("..\\model.json", "outside its folder"),
        ("C:\\model.json", "outside its folder"),
        ("base/model.json\0.txt", "outside its folder"),
        ("base/run.py", "no part of a model"),
        ("base/weights.pkl", "no part of a model"),
        ("elsewhere/config.json", "2 folders"),
        ("base/deeper/config.json", "2 folders"),
    ],
)
def test_a_zip_file_with_a_strange_path_is_refused(shelf: Shelf, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "inner").mkdir()
    hostile = zipped(tmp_path / "inner" / "evil.zip", {"base/config.json": b"{}"})
    with zipfile.ZipFile(hostile, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        archive.writestr(info, b"{}")
    refused(shelf, hostile, says)


def test_zip_files_that_are_none_or_lie_are_refused(shelf: Shelf, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_bytes(b"not a zip file")
    refused(shelf, tmp_path / "text.zip", "not a whole zip file")
    (tmp_path / "cut.zip").write_bytes(packed.read_bytes()[:-200])
    refused(shelf, tmp_path / "cut.zip", "not a whole zip file")
    content = bytearray(packed.read_bytes())
    content[200] ^= 1
    (tmp_path / "changed.zip").write_bytes(content)
    refused(shelf, tmp_path / "changed.zip", "changed.zip")
    refused(shelf, zipped(tmp_path / "empty.zip", {}), "holds no model")
    refused(shelf, zipped(tmp_path / "many.zip", {f"{n}.json": b"{}" for n in range(40)}), "40 files")
    link = zipfile.ZipInfo("config.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(shelf, tmp_path / "link.zip", "is a link")


def test_a_zip_file_that_unpacks_to_more_than_there_is_room_for_is_refused_unread(shelf: Shelf, tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {"model.json": b"{}"})
    content = bytearray(path.read_bytes())
    where = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    content[where : where + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    refused(shelf, path, "bomb.zip")


def test_a_pickle_is_refused_whatever_it_is_called(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "best.pt"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(ENCODER_CONFIG))
        (folder / name).write_bytes(pickle.dumps({"a": Runs()}, protocol=2))
        refused(shelf, folder, "refused")
    # PyTorch's own zip of pickles under the name of a safetensors file, tensors only: its name still lies
    torch.save(random_network(ENCODER_CONFIG).state_dict(), tmp_path / "weights" / "weights.safetensors")
    refused(shelf, tmp_path / "weights", "a PyTorch pickle under the name of a safetensors file")


def test_a_configuration_of_100_mb_is_not_read(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    with (folder / "config.json").open("r+b") as file:
        file.truncate(100_000_000)
    refused(shelf, folder, "has 100 MB, and a configuration has at most 1.0 MB")


def test_a_card_of_100_mb_is_not_read(shelf: Shelf, packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "unpacked")
    with (tmp_path / "unpacked" / "base" / "model.json").open("r+b") as file:
        file.truncate(100_000_000)
    refused(shelf, tmp_path / "unpacked" / "base", "has 100 MB, and a model.json has at most 50 MB")


def test_a_number_of_layers_that_nobody_could_build_is_refused(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    (folder / "config.json").write_text(json.dumps(ENCODER_CONFIG | {"num_layers": 10**12}))
    with pytest.raises(ModelError, match="num_layers must be at most"):
        import_model(shelf, folder, "deep")


def test_tensors_that_are_no_plain_numbers_are_refused(shelf: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG)
    state = dict(random_network(ENCODER_CONFIG).state_dict())
    name = next(iter(state))
    for strange, says in (
        (torch.zeros(1).expand(10**13), "more numbers than the file holds"),
        (torch.zeros(2, 2).to_sparse(), "no plain tensor"),
        (torch.zeros(4, device="meta"), "no plain tensor"),
    ):
        torch.save(state | {name: strange}, folder / "best.pt")
        with pytest.raises(ModelError, match=says):
            import_model(shelf, folder, "huge")


def test_a_card_with_markup_for_its_name_is_refused_and_in_its_text_it_stays_text(
    shelf: Shelf, packed: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / "base"
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | {"name": "<script>alert(1)</script>"}))
    with pytest.raises(ModelError, match="not a model's card") as caught:
        import_model(shelf, folder, "evil")
    assert "\n" not in str(caught.value)
    text = "<img src=x onerror=alert(1)> | [a](javascript:alert(1))"
    (folder / "model.json").write_text(json.dumps(card | {"training_data": text}))
    assert import_model(shelf, folder, "marked").card.training_data == text


def test_a_head_in_a_zip_file_finds_its_encoder_or_says_what_it_lacks(
    shelf: Shelf, checkpoint: CheckpointMaker, tmp_path: Path
) -> None:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    folder = checkpoint(STAGING_CONFIG, "head")
    path = zipped(tmp_path / "head.zip", {file.name: file.read_bytes() for file in folder.iterdir()})
    head = import_model(shelf, path, "staging")
    assert shelf.encoder_of(head.card).name == "base"
    with pytest.raises(RequestError, match="no encoder with embeddings of 16 numbers"):
        import_model(Shelf(tmp_path / "bare", tmp_path / "nothing"), path, "staging")
