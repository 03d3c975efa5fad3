"""Retrieval on the library's index: the numbers of `sleepfm evaluate retrieval`, and of faiss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.evaluation.run_settings import EVALUATION_OF
from sleepfm.evaluation.runs import evaluate
from sleepfm.home import Home
from sleepfm.inference.embedding_files import embedding_paths, read_embeddings
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.job_retrieval import measured, submit_retrieval
from sleepfm.library.library import Library
from sleepfm.library.library_retrieval import library_retrieval
from sleepfm.progress import silent
from sleepfm.runs.kinds import function_of
from sleepfm.runs.table import JobState
from sleepfm.vocabulary import Modality
from tests.evaluation.shelf_cohort import ShelfCohort, make_shelf_cohort
from tests.library.made_up_index import add_study, embeddings_of, random_rows


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> ShelfCohort:
    """Return a cohort whose nights are in the library of its home, indexed."""
    cohort = make_shelf_cohort(tmp_path_factory.mktemp("shelf"))
    recordings = tmp_path_factory.mktemp("recordings")
    with Library.open(cohort.home) as library:
        index = EmbeddingIndex(library, cohort.shelf.get("tiny").card.weights_sha256)
        for number, study in enumerate(cohort.nights.studies):
            assert add_study(library, recordings, study, seed=number) == study
            facts.store(library, study, {"subject": f"p-{study}"})
            stored = read_embeddings(embedding_paths(cohort.nights.embeddings, study)[1])
            origin = replace(stored.origin, source_sha256=library.study(study).sha256 or "")
            index.add(study, replace(stored, origin=origin))
    return cohort


def test_the_numbers_are_those_of_evaluate_retrieval(cohort: ShelfCohort, tmp_path: Path) -> None:
    told = cohort.settings(encoder="tiny", evaluation={"groups": [], "candidates": [10, 40]})
    settings = EVALUATION_OF["retrieval"].model_validate(told)
    evaluation, _ = evaluate("retrieval", settings, tmp_path, shelf=cohort.shelf, runs=cohort.runs)
    found = library_retrieval(Home(cohort.home), "tiny", cohort.test, candidates=(10, 40))
    assert found["candidates"] == 40
    for name in ("pairs", "leave_one_out", "by_candidates", "other_subjects", "same_night"):
        assert close(found[name], evaluation.extra[name]), name


def close(one: Any, other: Any) -> bool:
    """Tell whether two trees of numbers have the same shape and, but for rounding, the same numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(close(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == pytest.approx(other, rel=1e-9)) if isinstance(one, float) else bool(one == other)


def test_people_of_the_pretraining_are_kept_out(cohort: ShelfCohort) -> None:
    found: dict[str, Any] = library_retrieval(Home(cohort.home), "tiny")
    assert found["data"]["seen_in_pretraining"] == list(cohort.nights.studies[:2])
    assert found["data"]["recordings"] == len(cohort.nights.studies) - 2
    assert any("saw in pretraining" in warning for warning in found["warnings"])


def test_top_k_and_median_rank_are_those_of_faiss(tmp_path: Path, cohort: ShelfCohort) -> None:
    rows = [random_rows(40, seed=number) for number in range(5)]
    studies = []
    with Library.open(cohort.home) as library:
        index = EmbeddingIndex(library, cohort.shelf.get("tiny").card.weights_sha256)
        for number, one in enumerate(rows):
            studies.append(add_study(library, tmp_path, f"random_{number}", seed=100 + number))
            weights = index.weights_sha256
            index.add(studies[-1], embeddings_of(library, studies[-1], one, weights=weights))
    found: dict[str, Any] = library_retrieval(Home(cohort.home), "tiny", studies, candidates=(200,))
    whole = {m: np.concatenate([one[m] for one in rows]) for m in Modality}
    unit = {m: np.ascontiguousarray(z_ne / np.linalg.norm(z_ne, axis=1, keepdims=True)) for m, z_ne in whole.items()}
    for query in Modality:
        for target in Modality:
            if query is not target:
                flat = faiss.IndexFlatIP(unit[target].shape[1])
                flat.add(unit[target])
                _, nearest_nk = flat.search(unit[query], 200)
                rank_n = 1 + (nearest_nk == np.arange(200)[:, None]).argmax(axis=1)
                pair = found["pairs"][f"{query}>{target}"]
                assert pair["top1"] == pytest.approx((rank_n == 1).mean())
                assert pair["top10"] == pytest.approx((rank_n <= 10).mean())
                assert pair["median_rank"] == np.median(rank_n)
                assert 1 < pair["median_rank"] < 100


def test_what_is_not_indexed_is_refused(cohort: ShelfCohort, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="sleepfm index"):
        library_retrieval(Home(cohort.home), "tiny", ["nobody"])
    with Library.open(tmp_path / "home") as library:
        empty = library.home
    (empty.models / "tiny").symlink_to(cohort.home / "models" / "tiny")
    with pytest.raises(RequestError, match="no study is indexed"):
        library_retrieval(empty, "tiny")


def test_what_was_measured_is_found_again_until_the_index_is_another(
    cohort: ShelfCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(cohort.home)
    monkeypatch.setattr("sleepfm.library.job_retrieval.ensure_running", lambda _home: None)
    with Library(home) as library:
        job = submit_retrieval(home, "tiny", "first state")
        assert measured(library, "tiny", "first state") is None
        library.jobs.claim(job.lane)
        library.jobs.end(job.id, JobState.FINISHED, result=function_of(job.kind)(home, job.parameters, silent))
        found = measured(library, "tiny", "first state")
        assert found is not None
        assert close(found["pairs"], library_retrieval(home, "tiny")["pairs"])
        assert measured(library, "tiny", "another state") is None
