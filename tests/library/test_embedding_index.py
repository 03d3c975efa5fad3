"""The index: what was put in comes out and is never rewritten, and what does not belong is refused or does not count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from sleepfm.errors import ModelError, RecordingError, RequestError
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.library import Library
from sleepfm.vocabulary import TOKEN_S, Kind, Modality
from tests.library.made_up_index import WEIGHTS, WIDTH, add_study, embeddings_of, random_rows
from tests.make_edf import write_edf

BAS, RESP, EKG, EMG = Modality


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


@pytest.fixture
def index(library: Library) -> EmbeddingIndex:
    return EmbeddingIndex(library, WEIGHTS)


def fill(library: Library, index: EmbeddingIndex, folder: Path, studies: int, n: int = 6) -> list[dict[Modality, np.ndarray]]:
    filled = []
    for number in range(studies):
        study = add_study(library, folder, f"night_{number}", seed=number)
        filled.append(random_rows(n, seed=number))
        index.add(study, embeddings_of(library, study, filled[-1]))
    return filled


def best(index: EmbeddingIndex, query_e: np.ndarray, modality: Modality) -> tuple[str, int]:
    (hit,) = index.nearest(query_e, modality, 1).hits
    return hit.study, hit.row


def normalised(rows_ne: np.ndarray) -> np.ndarray:
    return rows_ne / np.linalg.norm(rows_ne, axis=1, keepdims=True)


def test_rows_come_back_as_unit_vectors(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    filled = fill(library, index, tmp_path, 3)
    assert [(b.study, b.first_row, b.rows, b.modalities) for b in index.blocks()] == [
        (f"night_{k}", 6 * k, 6, tuple(Modality)) for k in range(3)
    ]
    assert index.n == 18
    assert index.missing() == []
    for number, rows in enumerate(filled):
        for modality in Modality:
            found = index.rows(f"night_{number}", modality)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, normalised(rows[modality]), atol=1e-6)


def test_what_cannot_be_used_is_nan_and_is_never_found(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    study = add_study(library, tmp_path, "night")
    rows = random_rows(8, modalities=(BAS, RESP))
    rows[BAS][2, 3] = np.nan
    rows[BAS][3, 0] = np.inf
    rows[BAS][4] = 0.0
    made = embeddings_of(library, study, rows, gaps=((1499.0, 1501.0),), last_window_tokens=59)
    assert index.add(study, made).modalities == (BAS, RESP)
    assert np.isnan(index.rows(study, EKG)).all()
    assert np.isnan(index.rows(study, BAS)).all(axis=1).tolist() == [False, False, True, True, True, True, False, True]
    assert np.isnan(index.rows(study, RESP)).all(axis=1).tolist() == [False] * 4 + [True, True, False, True]
    found = index.nearest(-rows[BAS][0], BAS, 10)
    assert sorted(hit.row for hit in found.hits) == [0, 1, 6]
    assert found.candidates == 3
    assert index.nearest(rows[BAS][0], EKG, 10).candidates == 0


def test_epochs_are_the_means_of_their_tokens(library: Library, tmp_path: Path) -> None:
    index = EmbeddingIndex(library, WEIGHTS, Grain.EPOCH)
    study = add_study(library, tmp_path, "night")
    tokens = random_rows(6 * 4 + 3, modalities=(BAS,))
    index.add(study, embeddings_of(library, study, tokens, row_s=TOKEN_S, gaps=((61.0, 62.0),)))
    expected = normalised(tokens[BAS][:24].reshape(4, 6, WIDTH).mean(axis=1))
    expected[2] = np.nan
    np.testing.assert_allclose(index.rows(study, BAS), expected, atol=1e-6)
    with pytest.raises(ValueError, match="per 300 s"):
        index.add(study, embeddings_of(library, study, tokens))


def test_nearest_rows_are_those_of_faiss(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    filled = fill(library, index, tmp_path, 5, n=40)
    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(normalised(np.concatenate([rows[RESP] for rows in filled])).astype(np.float32))
    query = filled[1][BAS][7]
    similarity, row = flat.search(normalised(query[None]).astype(np.float32), 12)
    found = index.nearest(query, RESP, 12, ranked_e=filled[1][RESP][7])
    assert [(int(hit.study[-1]), hit.row) for hit in found.hits] == [divmod(number, 40) for number in row[0]]
    np.testing.assert_allclose([hit.similarity for hit in found.hits], similarity[0], atol=1e-6)
    everyone = normalised(np.concatenate([rows[RESP] for rows in filled])) @ normalised(query[None])[0]
    assert found.better == (everyone > everyone[47]).sum()
    assert found.candidates == 200


def test_studies_and_rows_can_be_left_out(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    filled = fill(library, index, tmp_path, 3)
    left_out = {"without": {"night_0"}, "without_rows": {"night_1": [range(-2, 2), range(3, 99)], "nobody": [range(5)]}}
    found = index.nearest(filled[0][BAS][0], BAS, 99, **left_out)
    assert sorted((hit.study, hit.row) for hit in found.hits) == [("night_1", 2), *(("night_2", row) for row in range(6))]
    assert found.candidates == 7


def test_adding_a_night_leaves_what_is_there_alone(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    fill(library, index, tmp_path, 2)
    files = sorted(index.folder.glob("*.float*"))
    before = {file: (file.stat().st_ino, file.read_bytes()) for file in files}
    study = add_study(library, tmp_path, "later", seed=9)
    index.add(study, embeddings_of(library, study, random_rows(4, seed=9, modalities=(EMG,))))
    assert len(files) == 8
    for file, (inode, content) in before.items():
        assert file.stat().st_ino == inode
        assert file.read_bytes()[: len(content)] == content
        assert file.stat().st_size == len(content) // 12 * 16


def test_other_weights_recipes_and_files_are_refused(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    fill(library, index, tmp_path, 1)
    study = add_study(library, tmp_path, "other", seed=5)
    rows = random_rows(3)
    for made in (
        embeddings_of(library, study, rows, weights="b" * 64),
        embeddings_of(library, study, rows, recipe="hq"),
        embeddings_of(library, study, random_rows(3, width=WIDTH + 1)),
    ):
        with pytest.raises(ModelError, match="never compared"):
            index.add(study, made)
    with pytest.raises(RecordingError, match="another file"):
        index.add(study, embeddings_of(library, "night_0", rows))
    with pytest.raises(RecordingError, match="not one 5-min window"):
        index.add(study, embeddings_of(library, study, {BAS: rows[BAS][:1]}, last_window_tokens=3))
    with pytest.raises(ModelError, match="different encoders"):
        index.nearest(np.ones(WIDTH + 1), BAS, 1)
    assert index.missing() == ["other"]
    assert index.n == 6


def test_a_changed_file_or_channel_does_not_count_until_it_is_added_again(
    library: Library, index: EmbeddingIndex, tmp_path: Path
) -> None:
    filled = fill(library, index, tmp_path, 3)
    write_edf(tmp_path / "night_1.edf", seconds=3, labels=("C4-M1", "ECG"), seed=77)
    add_study(library, tmp_path, "night_1", seed=78)
    assert index.missing() == ["night_1"]
    assert {hit.study for hit in index.nearest(filled[1][BAS][0], BAS, 99).hits} == {"night_0", "night_2"}
    with pytest.raises(RequestError, match="not in the index"):
        index.rows("night_1", BAS)
    anew = random_rows(2, seed=50)
    index.add("night_1", embeddings_of(library, "night_1", anew))
    assert [(b.study, b.first_row, b.rows) for b in index.blocks()] == [("night_0", 0, 6), ("night_2", 12, 6), ("night_1", 18, 2)]
    assert best(index, anew[BAS][1], BAS) == ("night_1", 1)
    library.correct_channel("night_0", 1, Kind.CHIN_EMG)  # all three are of one montage
    assert index.missing() == ["night_0", "night_1", "night_2"]
    library.correct_channel("night_0", 1, None)
    assert index.missing() == []


def test_a_removed_study_is_gone(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    filled = fill(library, index, tmp_path, 2)
    library.remove("night_0")
    assert {hit.study for hit in index.nearest(filled[0][BAS][0], BAS, 99).hits} == {"night_1"}
    assert index.n == 6
    with pytest.raises(RequestError, match="not in the index"):
        index.rows("night_0", BAS)


def test_the_rows_of_removed_studies_make_room_for_others(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    filled = {f"night_{k}": rows for k, rows in enumerate(fill(library, index, tmp_path, 4))}
    size = (index.folder / "BAS.float32").stat().st_size
    for gone in ("night_1", "night_3"):
        library.remove(gone)
        del filled[gone]
    for name, n, first_row in (("long", 7, 18), ("short", 4, 6), ("tiny", 2, 10), ("later", 3, 25)):
        study = add_study(library, tmp_path, name, seed=first_row)
        filled[name] = random_rows(n, seed=first_row)
        assert index.add(study, embeddings_of(library, study, filled[name])).first_row == first_row
    assert (index.folder / "BAS.float32").stat().st_size == size // 24 * 28
    assert index.missing() == []
    for name, rows in filled.items():
        for modality in Modality:
            np.testing.assert_allclose(index.rows(name, modality), normalised(rows[modality]), atol=1e-6)
        assert best(index, rows[EKG][-1], EKG) == (name, len(rows[EKG]) - 1)
    assert index.nearest(filled["tiny"][BAS][0], BAS, 99).candidates == 6 + 6 + 7 + 4 + 2 + 3


def test_a_search_under_way_lives_on_while_the_last_rows_are_given_to_a_shorter_night(
    library: Library, index: EmbeddingIndex, tmp_path: Path
) -> None:
    """A page behind the end of a mapped file kills the process that reads it."""
    fill(library, index, tmp_path, 2)
    sizes = {file: file.stat().st_size for file in index.folder.glob("*.float*")}
    library.remove("night_1")
    study = add_study(library, tmp_path, "short", seed=9)
    assert index.add(study, embeddings_of(library, study, random_rows(2, seed=9))).first_row == 6
    assert {file: file.stat().st_size for file in sizes} == sizes
    assert index.nearest(np.ones(WIDTH), BAS, 99).candidates == 8


def test_indexes_of_two_encoders_know_nothing_of_each_other(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    fill(library, index, tmp_path, 1)
    other = EmbeddingIndex(library, "b" * 64)
    assert (other.n, other.missing(), other.block("night_0")) == (0, ["night_0"], None)
    assert other.nearest(np.ones(WIDTH), BAS, 3).hits == ()
    other.add("night_0", embeddings_of(library, "night_0", random_rows(2), weights="b" * 64))
    assert (other.n, index.n) == (2, 6)


@pytest.mark.parametrize("what", ["deleted", "cut short"])
def test_rows_that_are_gone_from_the_disk_count_as_missing(
    library: Library, index: EmbeddingIndex, tmp_path: Path, what: str
) -> None:
    filled = fill(library, index, tmp_path, 3)
    file = index.folder / "EKG.float16"
    if what == "deleted":
        file.unlink()
    else:
        os.truncate(file, 2 * WIDTH * 13)  # in the middle of the third night
    left = [] if what == "deleted" else ["night_0", "night_1"]
    assert [block.study for block in index.blocks()] == left
    for number in range(len(left), 3):
        index.add(f"night_{number}", embeddings_of(library, f"night_{number}", filled[number]))
    assert index.missing() == []
    for number, rows in enumerate(filled):
        for modality in Modality:
            np.testing.assert_allclose(index.rows(f"night_{number}", modality), normalised(rows[modality]), atol=1e-6)
            assert best(index, rows[modality][4], modality) == (f"night_{number}", 4)


CRASH = """
import os, signal, sys
from pathlib import Path
from sleepfm.library import embedding_index
from sleepfm.library.library import Library
from tests.library.made_up_index import WEIGHTS, embeddings_of, random_rows

def die(_connection):
    os.kill(os.getpid(), signal.SIGKILL)

embedding_index.transaction = die
library = Library.open(sys.argv[1])
embedding_index.EmbeddingIndex(library, WEIGHTS).add("late", embeddings_of(library, "late", random_rows(5, seed=8)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_writer_killed_before_its_block_is_stored_leaves_the_index_right(
    library: Library, index: EmbeddingIndex, tmp_path: Path
) -> None:
    filled = fill(library, index, tmp_path, 2)
    add_study(library, tmp_path, "late", seed=8)
    killed = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path / "home")], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (index.folder / "EMG.float32").stat().st_size == 17 * WIDTH * 4  # its rows are there
    assert (index.n, index.missing()) == (12, ["late"])
    assert index.nearest(filled[0][BAS][0], BAS, 99).candidates == 12
    rows = random_rows(3, seed=8)
    assert index.add("late", embeddings_of(library, "late", rows)).first_row == 12
    assert index.nearest(filled[0][BAS][0], BAS, 99).candidates == 15
    for number, night in enumerate([*filled, rows]):
        np.testing.assert_allclose(index.rows(index.blocks()[number].study, EMG), normalised(night[EMG]), atol=1e-6)


def test_what_another_program_changes_is_seen_at_once(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    fill(library, index, tmp_path, 2)
    assert [block.study for block in index.blocks()] == ["night_0", "night_1"]
    with Library.open(library.home.root) as other:
        study = add_study(other, tmp_path, "night_2", seed=2)
        EmbeddingIndex(other, WEIGHTS).add(study, embeddings_of(other, study, random_rows(6, seed=2)))
        assert [block.study for block in index.blocks()] == ["night_0", "night_1", "night_2"]
        other.remove("night_1")
        other.store_hash("night_0", "0" * 64)
    assert [block.study for block in index.blocks()] == ["night_2"]
    query_e = random_rows(6, seed=1)[Modality.BAS][3]
    assert best(index, query_e, Modality.BAS)[0] == "night_2"
