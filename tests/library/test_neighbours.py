"""Neighbours: those that brute force finds, never of the same subject or time, and one clear line where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from sleepfm.errors import ModelError, RequestError
from sleepfm.home import Home
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.library import Library
from sleepfm.library.neighbours import Clip, NeighbourQuery, find_neighbours, neighbours_of_embeddings
from sleepfm.library.resident import in_resident
from sleepfm.models.card import PUBLISHED_KINDS, SIMULATED, ModalityCoding, SignalCoding, Task
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import WINDOW_S, Modality
from tests.library.made_up_index import add_study, embeddings_of, random_rows
from tests.models.random_models import ENCODER, random_network

BAS, RESP, EKG, EMG = Modality
NIGHTS, WINDOWS = 6, 10
SUBJECTS = ("ann", "ann", "bob", "cid", "dot", "eve")


def put_encoder(home: Home, name: str, trained_on: str, seed: int = 0) -> str:
    modalities = {modality: ModalityCoding(kinds=PUBLISHED_KINDS[modality], max_channels=4) for modality in Modality}
    about = {
        "task": Task.ENCODER,
        "architecture": "SetTransformer",
        "parameters": ENCODER,
        "signals": SignalCoding(recipe="published", modalities=modalities),
        "trained_on": trained_on,
    }
    network = random_network({"model": "SetTransformer", **ENCODER}, seed)
    return Shelf(home.models).add(name, network.state_dict(), about).card.weights_sha256


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


@pytest.fixture
def nights(library: Library, tmp_path: Path) -> dict[str, dict[Modality, np.ndarray]]:
    """Index six nights of five people, the last without ECG, and return their embeddings."""
    weights = put_encoder(library.home, "real", "a cohort")
    index = EmbeddingIndex(library, weights)
    made = {}
    for number in range(NIGHTS):
        study = add_study(library, tmp_path, f"night_{number}", seed=number)
        there = tuple(Modality) if number < NIGHTS - 1 else (BAS, RESP, EMG)
        made[study] = random_rows(WINDOWS, seed=number, modalities=there)
        index.add(study, embeddings_of(library, study, made[study], weights=weights))
        facts.store(library, study, {"subject": SUBJECTS[number], "site": f"lab {number % 2}", "age": str(30 + number)})
    # the recordings are two seconds long; their nights are made up
    library.connection.execute("UPDATE studies SET duration_s = ?", (WINDOWS * WINDOW_S,))
    return made


def ask(*clips: tuple[str, float], query: Modality = RESP, target: Modality = BAS, **more: object) -> NeighbourQuery:
    base = NeighbourQuery("real", tuple(Clip(*clip) for clip in clips), query, target)
    return replace(base, **more)


def by_sklearn(
    nights: Mapping[str, Mapping[Modality, np.ndarray]], query_e: np.ndarray, target: Modality, left_out: set[tuple[str, int]]
) -> list[tuple[str, float]]:
    """Return all candidates from best to worst as scikit-learn's brute force ranks them."""
    rows = [(s, w) for s, of in nights.items() if target in of for w in range(WINDOWS) if (s, w) not in left_out]
    vectors = np.stack([nights[study][target][window] for study, window in rows])
    found = NearestNeighbors(n_neighbors=len(rows), algorithm="brute", metric="cosine").fit(vectors.astype(np.float64))
    (order,) = found.kneighbors(query_e[None].astype(np.float64), return_distance=False)
    return [(rows[number][0], rows[number][1] * WINDOW_S) for number in order]


def whole_nights(*studies: str) -> set[tuple[str, int]]:
    return {(study, window) for study in studies for window in range(WINDOWS)}


def test_neighbours_are_those_of_brute_force_among_other_people(library: Library, nights: dict) -> None:
    answer = find_neighbours(library.home, ask(("night_0", 1234.0), top=12))
    expected = by_sklearn(nights, nights["night_0"][RESP][4], BAS, whole_nights("night_0", "night_1"))
    assert [(one.study, one.start_s) for one in answer.neighbours] == expected[:12]
    assert answer.candidates == len(expected) == 40
    a, first = nights["night_0"][RESP][4], answer.neighbours[0]
    b = nights[first.study][BAS][int(first.start_s / WINDOW_S)]
    assert first.similarity == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
    assert first.person == facts.person(library, first.study)
    similarities = [one.similarity for one in answer.neighbours]
    assert similarities == sorted(similarities, reverse=True)
    assert answer.notes == ()
    assert answer.seconds > 0


def test_the_true_partner_ranks_among_the_candidates_and_itself(library: Library, nights: dict) -> None:
    for window in range(WINDOWS):
        answer = find_neighbours(library.home, ask(("night_2", window * WINDOW_S + 1)))
        own = whole_nights("night_2") - {("night_2", window)}
        order = by_sklearn(nights, nights["night_2"][RESP][window], BAS, own)
        assert answer.true_partner_rank == order.index(("night_2", window * WINDOW_S)) + 1
    assert find_neighbours(library.home, ask(("night_5", 0.0), target=EKG)).true_partner_rank is None
    assert find_neighbours(library.home, ask(("night_0", 0.0), ("night_2", 0.0))).true_partner_rank is None
    assert find_neighbours(library.home, ask(("night_0", 0.0), target=RESP)).true_partner_rank is None


def test_the_same_time_of_the_same_night_is_never_a_neighbour(library: Library, nights: dict) -> None:
    answer = find_neighbours(library.home, ask(("night_0", 1500.0), ("night_0", 0.0), top=99, same_subject=True))
    near = {("night_0", window) for window in (0, 1, 2, 3, 4, 5, 6, 7)}  # two windows to each side of 0 and of 5
    unit = [nights["night_0"][RESP][w] / np.linalg.norm(nights["night_0"][RESP][w]) for w in (5, 0)]
    expected = by_sklearn(nights, np.mean(unit, axis=0), BAS, near)
    assert [(one.study, one.start_s) for one in answer.neighbours] == expected
    assert answer.candidates == 52
    assert any(one.study == "night_1" for one in answer.neighbours)


@pytest.mark.usefixtures("nights")
def test_the_helper_process_answers_the_same(library: Library) -> None:
    query = ask(("night_0", 1234.0), top=3)
    here, there = find_neighbours(library.home, query), in_resident(library.home, find_neighbours, query, timeout_s=300)
    assert replace(there, seconds=here.seconds) == here
    with pytest.raises(RequestError, match="outside the night"):
        in_resident(library.home, find_neighbours, ask(("night_0", 1e6)), timeout_s=300)


@pytest.mark.usefixtures("nights")
def test_a_person_nobody_named_is_said(library: Library) -> None:
    facts.store(library, "night_3", {"subject": ""})
    answer = find_neighbours(library.home, ask(("night_3", 0.0)))
    assert "Nobody stated who was recorded in night_3" in answer.notes[0]
    assert answer.candidates == 50
    assert "night_3" not in {one.study for one in answer.neighbours}


def test_a_simulated_encoder_is_said(library: Library, nights: dict) -> None:
    weights = put_encoder(library.home, "toy", SIMULATED, seed=1)
    index = EmbeddingIndex(library, weights)
    for study, rows in nights.items():
        index.add(study, embeddings_of(library, study, rows, weights=weights))
    answer = find_neighbours(library.home, ask(("night_0", 0.0), encoder="toy"))
    assert "toy was trained on simulated signals" in answer.notes[0]
    assert "means nothing" in answer.notes[0]


def test_a_recording_that_is_not_in_the_library(library: Library, nights: dict) -> None:
    weights = Shelf(library.home.models).get("real").card.weights_sha256
    rows = random_rows(WINDOWS, seed=77)
    made = embeddings_of(library, "night_0", rows, weights=weights)
    foreign = replace(made, origin=replace(made.origin, source_sha256="f" * 64))
    answer = neighbours_of_embeddings(library.home, foreign, ask(("elsewhere", 650.0), top=99))
    assert answer.candidates == 60
    everyone = {**nights, "elsewhere": rows}
    order = by_sklearn(everyone, rows[RESP][2], BAS, whole_nights("elsewhere") - {("elsewhere", 2)})
    assert answer.true_partner_rank == order.index(("elsewhere", 600.0)) + 1
    assert [(one.study, one.start_s) for one in answer.neighbours] == [one for one in order if one[0] != "elsewhere"]
    # the same bytes under another name are the same night, of the same person
    twin = neighbours_of_embeddings(library.home, made, ask(("copy", 650.0), top=99))
    assert {"night_0", "night_1"} & {one.study for one in twin.neighbours} == set()
    same = neighbours_of_embeddings(library.home, made, ask(("copy", 650.0), top=99, same_subject=True))
    assert same.candidates == 55
    with pytest.raises(ModelError, match="never compared"):
        neighbours_of_embeddings(
            library.home, replace(made, origin=replace(made.origin, weights_sha256="b" * 64)), ask(("x", 0.0))
        )


@pytest.mark.usefixtures("nights")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        (ask(("night_0", 3000.0)), "3000 s is outside the night, which is 3000 s long"),
        (ask(("night_0", -1.0)), "outside the night"),
        (ask(("night_0", float("nan"))), "outside the night"),
        (ask(("night_5", 0.0), query=EKG), "night_5 has no EKG signal that can be used .there: BAS, RESP, EMG."),
        (ask(("nobody", 0.0)), "no study 'nobody'"),
        (ask(("night_0", 0.0), encoder="none"), "no model named 'none'"),
        (ask(), "needs a clip"),
    ],
)
def test_a_question_that_cannot_be_asked(library: Library, query: NeighbourQuery, words: str) -> None:
    with pytest.raises(RequestError, match=words) as error:
        find_neighbours(library.home, query)
    assert "\n" not in str(error.value)


def test_an_index_with_nothing_to_compare_with(library: Library, tmp_path: Path) -> None:
    weights = put_encoder(library.home, "real", "a cohort")
    index = EmbeddingIndex(library, weights)
    first = add_study(library, tmp_path, "night_0")
    with pytest.raises(RequestError, match="no study is indexed for real yet: run `sleepfm index"):
        find_neighbours(library.home, ask((first, 0.0)))
    rows = random_rows(3)
    rows[RESP][1] = np.nan
    index.add(first, embeddings_of(library, first, rows, weights=weights, gaps=((700.0, 710.0),)))
    library.connection.execute("UPDATE studies SET duration_s = 900")
    with pytest.raises(RequestError, match="no night of another person is indexed"):
        find_neighbours(library.home, ask((first, 0.0)))
    for time_s in (300.0, 899.0):
        with pytest.raises(RequestError, match=r"the 5 min from \d+ s are not whole, touch a gap or have no usable RESP"):
            find_neighbours(library.home, ask((first, time_s)))
    second = add_study(library, tmp_path, "night_1", seed=1)
    with pytest.raises(RequestError, match="night_1 is not indexed"):
        find_neighbours(library.home, ask((second, 0.0)))
    index.add(second, embeddings_of(library, second, random_rows(3, seed=1, modalities=(BAS, EMG)), weights=weights))
    with pytest.raises(RequestError, match="no other night in the index has a usable EKG signal"):
        find_neighbours(library.home, ask((first, 0.0), target=EKG))
    assert find_neighbours(library.home, ask((first, 0.0))).candidates == 3


@pytest.mark.usefixtures("nights")
def test_a_real_night_has_no_simulated_neighbours_nor_the_other_way_round(library: Library) -> None:
    library.connection.execute("UPDATE studies SET simulated = 1 WHERE id IN ('night_2', 'night_3')")
    real = find_neighbours(library.home, ask(("night_0", 0.0), top=99))
    assert {one.study for one in real.neighbours} == {"night_4", "night_5"}
    simulated = find_neighbours(library.home, ask(("night_2", 0.0), top=99))
    assert {one.study for one in simulated.neighbours} == {"night_3"}


def test_the_same_file_under_another_name_is_the_same_night(library: Library, nights: dict, tmp_path: Path) -> None:
    weights = Shelf(library.home.models).get("real").card.weights_sha256
    copy = add_study(library, tmp_path / "elsewhere", "copy", seed=2)
    EmbeddingIndex(library, weights).add(copy, embeddings_of(library, copy, nights["night_2"], weights=weights))
    found = find_neighbours(library.home, ask(("night_2", 0.0), top=99))
    assert not {"night_2", "copy"} & {one.study for one in found.neighbours}
