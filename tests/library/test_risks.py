"""Risks in the library: computed as a job, stored with what they were made from, found again, ranked, replaced and forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.inference.risk import night_risk
from sleepfm.inference.risk_result import RiskResult
from sleepfm.library import facts
from sleepfm.library.cohort_risk import models_with_risks
from sleepfm.library.job_risk import assess, submit_risk
from sleepfm.library.library import Library
from sleepfm.library.risks import ranks, remove, risks, scores, store
from sleepfm.models.reference import REFERENCE_FILE
from sleepfm.progress import silent
from sleepfm.vocabulary import Kind
from tests.inference.risk_material import a_night, bundle_disease, head, models
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

SHA = "a" * 64


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


@pytest.fixture(scope="module")
def result() -> RiskResult:
    return night_risk(a_night(), models(head()), age=57, sex="male", resamples=5)


def add(library: Library, tmp_path: Path, name: str) -> str:
    identifier = library.add(write_edf(tmp_path / f"{name}.edf", seconds=60)).id
    library.store_hash(identifier, SHA)
    return identifier


def put(library: Library, result: RiskResult, study: str, **changes: Any) -> int:
    return store(library, replace(result, study=study, **changes), {"key": "k", "source_sha256": SHA})


def test_a_risk_is_found_replaced_and_forgotten(library: Library, tmp_path: Path, result: RiskResult) -> None:
    one, two = add(library, tmp_path, "one"), add(library, tmp_path, "two")
    first = put(library, result, one)
    put(library, result, two)
    older = put(library, result, one, age=60.0)
    assert {stored.id for stored in risks(library, one)} == {first, older}
    assert [stored.study for stored in risks(library, model="fate")] == [one, two, one]
    again = put(library, result, one)
    assert {stored.id for stored in risks(library, one)} == {again, older}
    newest = risks(library, one)[0]
    assert (newest.id, newest.age, newest.sex, newest.model) == (again, 57.0, "male", "fate")
    np.testing.assert_array_equal(newest.result.shapley_pk, result.shapley_pk)
    files = list((library.study_folder(one) / "risks").iterdir())
    assert len(files) == 2
    remove(library, again)
    remove(library, again)
    assert [stored.id for stored in risks(library, one)] == [older]
    library.store_hash(one, "b" * 64)  # another content under the old name
    assert risks(library, one) == []
    library.store_hash(one, SHA)
    for file in (library.study_folder(one) / "risks").iterdir():
        file.unlink()
    assert risks(library, one) == []


def test_scores_are_ranked_among_the_newest_of_the_same_weights(library: Library, tmp_path: Path, result: RiskResult) -> None:
    score_k = result.log_hazard_k
    studies = [add(library, tmp_path, f"night{number}") for number in range(4)]
    for number, study in enumerate(studies):
        put(library, result, study, log_hazard_k=score_k - 10)  # older: not looked at any more
        put(library, result, study, log_hazard_k=score_k + np.array([number, -number, 0.0]), age=50.0)
    other = add(library, tmp_path, "other")
    put(library, result, other, weights_sha256="c" * 64, log_hazard_k=score_k + 99)
    left_out = add(library, tmp_path, "left-out")
    put(library, result, left_out, demographics_left_out=True, log_hazard_k=score_k + 99)
    found = ranks(library, replace(result, study=studies[1], log_hazard_k=score_k + np.array([1, -1, 0.0])))
    assert found.of == 4
    assert found.rank_k.tolist() == [3, 2, 1]
    library.connection.execute("UPDATE studies SET simulated = 1 - simulated WHERE id = ?", (studies[3],))
    apart = ranks(library, replace(result, study=studies[1], log_hazard_k=score_k + np.array([1, -1, 0.0])))
    assert (apart.of, apart.rank_k.tolist()) == (3, [2, 2, 1])  # real nights stand among real ones only
    assert set(scores(library, result.weights_sha256)) == set(studies)
    assert set(scores(library, result.weights_sha256, demographics_left_out=True)) == {left_out}


def test_a_score_for_another_age_than_the_tables_state_is_ranked_with_none(
    library: Library, tmp_path: Path, result: RiskResult
) -> None:
    studies = [add(library, tmp_path, f"night{number}") for number in range(3)]
    for number, study in enumerate(studies):
        put(library, result, study, log_hazard_k=result.log_hazard_k - number)
        facts.store(library, study, {"age": "57", "sex": "male"})
    put(library, result, studies[1], age=80.0, log_hazard_k=result.log_hazard_k + 99)  # what would be if
    own = replace(result, study=studies[0])
    assert (ranks(library, own).of, ranks(library, own).rank_k.tolist()) == (3, [1, 1, 1])
    for changes in ({"age": 80.0}, {"sex": "female"}):
        with pytest.raises(RequestError, match=r"another age or sex than the tables state \(57 years, male\)"):
            ranks(library, replace(own, **changes))
    facts.store(library, studies[1], {"age": "80"})
    assert ranks(library, own).rank_k.tolist() == [2, 2, 2]


@pytest.fixture
def with_models(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle_disease(bundle(tmp_path / "bundled"))))
    return library


def asked(known: str, **changes: Any) -> dict[str, Any]:
    return {"study": known, "model": "demo-disease", "age": 57, "sex": "male", "demographic_players": False, **changes}


def test_the_job_embeds_computes_and_stores_once(with_models: Library, tmp_path: Path) -> None:
    library = with_models
    study = library.add(write_edf(tmp_path / "night.edf", seconds=660, labels=("C4-M1", "ECG", "Lead X"))).id
    first = assess(library.home, asked(study), silent)
    assert first == {"study": study, "model": "demo-disease", "risk": first["risk"], "reused": False}
    (stored,) = risks(library, study)
    assert stored.result.study == study
    assert stored.result.window_start_s.tolist() == [0, 300, 600]
    assert stored.result.players == ("BAS", "EKG")
    assert not stored.result.simulated_recording
    assert any("means nothing" in warning for warning in stored.result.warnings)  # a simulated model, asked for by its name
    assert assess(library.home, asked(study), silent) == first | {"reused": True}
    shared = assess(library.home, asked(study, demographic_players=True), silent)
    assert not shared["reused"]
    assert risks(library, study)[0].result.players == ("BAS", "EKG", "age", "sex")
    assert not assess(library.home, asked(study, age=58), silent)["reused"]
    library.correct_channel(study, 2, Kind.CHIN_EMG)
    assert risks(library, study) == []  # what was made of the channels as they were labelled before is shown to nobody
    assert scores(library, stored.result.weights_sha256) == {}
    assert models_with_risks(library) == {}
    assert not assess(library.home, asked(study), silent)["reused"]
    assert risks(library, study)[0].result.players == ("BAS", "EKG", "EMG")
    reference_file = tmp_path / "bundled" / "demo-disease" / REFERENCE_FILE
    reference_file.unlink()
    assert not assess(library.home, asked(study), silent)["reused"]


def test_what_is_asked_wrongly_is_said_at_once_and_queues_nothing(with_models: Library, tmp_path: Path) -> None:
    library = with_models
    study = library.add(write_edf(tmp_path / "night.edf", seconds=60)).id
    for changes, said in (
        ({"age": 300}, "age 300"),
        ({"sex": None}, "say the person's sex"),
        ({"model": "demo-staging"}, "not for disease"),
        ({"study": "nothing"}, "nothing"),
    ):
        parameters = asked(study, **changes)
        with pytest.raises(RequestError, match=said):
            submit_risk(library, parameters.pop("study"), **parameters)
        with pytest.raises(RequestError, match=said):
            assess(library.home, asked(study, **changes), silent)
    assert library.jobs.list() == ()
    assert risks(library) == []
