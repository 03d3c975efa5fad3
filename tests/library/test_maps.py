"""A map is made of one encoder's index, is found again as it was stored, and stays where it is when studies come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from sleepfm.analysis.neighbour_purity import NOBODY
from sleepfm.analysis.projection import Method
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.job_map import make_map
from sleepfm.library.library import Library
from sleepfm.library.map_making import make, place_new
from sleepfm.library.maps import MapGrain, MapSpec, StoredMap, map_file, read_map, read_projection, standing
from sleepfm.progress import silent
from sleepfm.vocabulary import Modality
from tests.library.mapped_library import ENCODER, WIDTH, add_nights, embeddings, mapped_library, score

NIGHTS = MapSpec(encoder=ENCODER)
WINDOWS = MapSpec(encoder=ENCODER, grain=MapGrain.WINDOW)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with mapped_library(tmp_path) as opened:
        yield opened


def window_vectors(library: Library, study: str, modalities: tuple[Modality, ...] = tuple(Modality)) -> np.ndarray:
    rows = np.mean([EmbeddingIndex(library, ENCODER).rows(study, modality) for modality in modalities], axis=0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_study(stored: StoredMap) -> dict[tuple[str, int], tuple[float, float]]:
    rows = zip(stored.study_n, stored.window_n, stored.x_n, stored.y_n, strict=True)
    return {(stored.studies[study], int(window)): (float(x), float(y)) for study, window, x, y in rows}


def test_a_night_is_the_mean_of_its_windows_and_lies_where_pca_of_all_nights_puts_it(library: Library) -> None:
    stored = make(library, NIGHTS)
    x_ne = np.array([window_vectors(library, study).mean(axis=0) for study in stored.studies])
    x_ne /= np.linalg.norm(x_ne, axis=1, keepdims=True)
    centred = x_ne - x_ne.mean(axis=0)
    _, length, axes = np.linalg.svd(centred, full_matrices=False)
    places = centred @ axes[:2].T
    for ours, theirs in ((stored.x_n, places[:, 0]), (stored.y_n, places[:, 1])):
        assert min(np.abs(ours - theirs).max(), np.abs(ours + theirs).max()) < 1e-5
    np.testing.assert_allclose(stored.explained, length[:2] ** 2 / (length**2).sum(), rtol=1e-5)
    assert stored.windows_n.tolist() == [5] * 12
    assert not stored.placed_n.any()


def test_windows_of_one_modality_are_those_of_the_index(library: Library) -> None:
    stored = make(library, WINDOWS.model_copy(update={"modality": Modality.RESP}))
    projection = read_projection(library.home, stored.spec.identifier)
    for study in ("p0-1", "p5-2"):
        expected = projection.place(window_vectors(library, study, (Modality.RESP,)))
        rows = np.flatnonzero(stored.study_n == stored.studies.index(study))
        np.testing.assert_allclose(np.stack([stored.x_n, stored.y_n], axis=1)[rows], expected, atol=1e-5)
        assert stored.window_n[rows].tolist() == [0, 1, 2, 3, 4]


def test_a_map_is_found_again_as_it_was_stored(library: Library) -> None:
    stored = make(library, WINDOWS)
    found = read_map(library.home, WINDOWS.identifier)
    assert found is not None
    assert (found.spec, found.studies, found.created_at) == (stored.spec, stored.studies, stored.created_at)
    for name in ("x_n", "y_n", "study_n", "window_n", "placed_n", "neighbour_qk"):
        np.testing.assert_array_equal(getattr(found, name), getattr(stored, name))
    assert standing(library, found).current
    assert read_map(library.home, NIGHTS.identifier) is None


def test_another_setting_is_another_map() -> None:
    changed: list[dict[str, object]] = [{"encoder": "cd" * 32}, {"grain": MapGrain.WINDOW}, {"modality": Modality.EKG}]
    changed += [{"method": Method.UMAP}, {"seed": 1}, {"sample": 50}]
    names = {NIGHTS.identifier, *(NIGHTS.model_copy(update=one).identifier for one in changed)}
    assert len(names) == 1 + len(changed)


def test_neighbours_are_the_nearest_windows_of_other_people(library: Library) -> None:
    stored = make(library, WINDOWS)
    x_ne = np.concatenate([window_vectors(library, study) for study in stored.studies])
    subject_n = np.array([stored.subjects[number] for number in stored.study_n])
    for query in (0, 7, 59):
        others = np.flatnonzero(subject_n != subject_n[query])
        oracle = NearestNeighbors(n_neighbors=stored.neighbour_qk.shape[1], metric="cosine", algorithm="brute").fit(x_ne[others])
        expected = others[oracle.kneighbors(x_ne[query][None])[1][0]]
        assert set(stored.neighbour_qk[query]) == set(expected)
    assert not (stored.neighbour_qk == NOBODY).any()


def test_a_new_study_is_placed_and_moves_nothing(library: Library, tmp_path: Path) -> None:
    before = make(library, WINDOWS)
    add_nights(library, tmp_path / "edf", ["p6-1"])
    assert standing(library, before).new == ("p6-1",)
    after = place_new(library, before)
    assert standing(library, after).current
    places = by_study(after)
    assert {key: places[key] for key in by_study(before)} == by_study(before)
    assert after.placed_n.sum() == 5
    assert {after.studies[number] for number in after.study_n[after.placed_n]} == {"p6-1"}
    exact = read_projection(library.home, WINDOWS.identifier).place(window_vectors(library, "p6-1"))
    np.testing.assert_allclose([places["p6-1", window] for window in range(5)], exact, atol=1e-5)
    assert place_new(library, after) is after


def test_a_study_that_is_gone_leaves_the_map_and_one_embedded_anew_is_placed_anew(library: Library) -> None:
    before = make(library, WINDOWS)
    library.remove("p0-1")
    library.store_hash("p1-1", "f" * 64)
    EmbeddingIndex(library, ENCODER).add("p1-1", embeddings(0, "f" * 64, windows=4, seed=9))
    assert standing(library, before).gone == ("p0-1",)
    assert standing(library, before).new == ("p1-1",)
    after = place_new(library, before)
    assert "p0-1" not in after.studies
    moved = by_study(after)
    assert [key for key in moved if key[0] == "p1-1"] == [("p1-1", window) for window in range(4)]
    for key, place in by_study(before).items():
        if key[0] not in ("p0-1", "p1-1"):
            assert moved[key] == place


def test_a_sample_is_fitted_and_the_rest_is_marked_as_placed(library: Library) -> None:
    spec = WINDOWS.model_copy(update={"sample": 20})
    stored = make(library, spec)
    assert stored.n == 60
    assert (~stored.placed_n).sum() == 20
    again = make(library, spec)
    np.testing.assert_array_equal(again.placed_n, stored.placed_n)
    np.testing.assert_array_equal(again.x_n, stored.x_n)
    assert not np.array_equal(make(library, spec.model_copy(update={"seed": 5})).placed_n, stored.placed_n)


def test_another_person_or_another_scoring_is_noticed(library: Library) -> None:
    stored = make(library, WINDOWS)
    assert np.isnan(stored.stage_n5).all()
    score(library, "p0-1", [0] * 6 + [2] * 4 + [4] * 10)
    found = standing(library, stored)
    assert (found.scored_anew, found.people_changed, found.current) == (1, False, False)
    stored = place_new(library, stored)
    rows = np.flatnonzero(stored.study_n == stored.studies.index("p0-1"))
    np.testing.assert_allclose(stored.stage_n5[rows[0]], [0.6, 0, 0.4, 0, 0], atol=1e-3)
    np.testing.assert_allclose(stored.stage_n5[rows[1]], [0, 0, 0, 0, 1], atol=1e-3)
    assert np.isnan(stored.stage_n5[rows[2:]]).all()
    assert not stored.placed_n.any()
    facts.store(library, "p0-1", {"subject": "p1"})
    assert standing(library, stored).people_changed
    assert standing(library, place_new(library, stored)).current


def test_rows_that_cannot_be_used_are_left_out_and_counted(library: Library, tmp_path: Path) -> None:
    add_nights(library, tmp_path / "edf", ["p6-1"])
    rows = embeddings(6, library.study("p6-1").sha256 or "", windows=6, seed=1, modalities=(Modality.BAS,))
    rows.rows[Modality.BAS][2] = np.nan
    EmbeddingIndex(library, ENCODER).add("p6-1", rows)
    stored = make(library, WINDOWS)
    own = stored.window_n[stored.study_n == stored.studies.index("p6-1")]
    assert own.tolist() == [0, 1, 3, 4, 5]
    assert stored.left_out == 1
    without = make(library, WINDOWS.model_copy(update={"modality": Modality.EKG}))
    assert [study for study, _ in without.empty_studies] == ["p6-1"]
    assert "EKG was not recorded" in without.empty_studies[0][1]
    assert standing(library, without).current


def test_too_little_for_a_map_is_said(tmp_path: Path) -> None:
    with mapped_library(tmp_path, people=1, nights=1) as library:
        with pytest.raises(RequestError, match="at least 3"):
            make(library, NIGHTS)
        with pytest.raises(RequestError, match="at least 16"):
            make(library, WINDOWS.model_copy(update={"method": Method.UMAP}))
        with pytest.raises(RequestError, match="holds no study"):
            make(library, NIGHTS.model_copy(update={"encoder": "cd" * 32}))
        assert make(library, WINDOWS).n == 5
        assert not any(library.home.maps.glob(f"{NIGHTS.identifier}*"))


def test_the_job_makes_a_map_once_then_only_places(library: Library, tmp_path: Path) -> None:
    parameters = {"spec": WINDOWS.model_dump(mode="json"), "anew": False}
    assert make_map(library.home, parameters, silent) == {
        "map": WINDOWS.identifier, "studies": 12, "rows": 60, "placed": 0, "reused": False
    }  # fmt: skip
    assert make_map(library.home, parameters, silent)["reused"]
    add_nights(library, tmp_path / "edf", ["p6-1"])
    assert make_map(library.home, parameters, silent)["placed"] == 5
    assert make_map(library.home, parameters | {"anew": True}, silent)["placed"] == 0


def test_a_cancelled_map_leaves_the_one_before(library: Library) -> None:
    make(library, WINDOWS)
    before = map_file(library.home, WINDOWS.identifier).read_bytes()

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        make_map(library.home, {"spec": WINDOWS.model_dump(mode="json"), "anew": True}, stop)
    assert map_file(library.home, WINDOWS.identifier).read_bytes() == before
    assert len(list(library.home.maps.iterdir())) == 1


def test_a_damaged_map_is_said_in_one_line(library: Library) -> None:
    make(library, NIGHTS)
    map_file(library.home, NIGHTS.identifier).write_bytes(b"not a map")
    with pytest.raises(SleepFMError, match="damaged"):
        read_map(library.home, NIGHTS.identifier)
    with pytest.raises(RequestError, match="not made yet"):
        read_projection(library.home, WINDOWS.identifier)


def test_the_width_of_the_index_is_that_of_the_map(library: Library) -> None:
    make(library, NIGHTS)
    projection = read_projection(library.home, NIGHTS.identifier)
    with pytest.raises(RequestError, match=f"rows of {WIDTH} numbers"):
        projection.place(np.ones((2, WIDTH + 1), np.float32))
