import json
from dataclasses import replace

import numpy as np
import pytest
from lifelines.utils import concordance_index
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, mean_absolute_error, roc_auc_score

from sleepfm.analysis.breathing import severity
from sleepfm.errors import RequestError
from sleepfm.evaluation.breathing import BreathingNight, evaluate_breathing
from sleepfm.evaluation.card_metrics import card_metrics
from sleepfm.evaluation.disease import MEAN_C, baseline_hazards, evaluate_disease
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.outcomes import Outcomes
from sleepfm.evaluation.probe import AGE_BINS, Traits, age_bin, evaluate_probe
from sleepfm.evaluation.retrieval import evaluate_retrieval
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.staging import StagedNight, evaluate_staging
from tests.evaluation.made_up import IDS, QUICK, N, followed, held_out, staged


def headline(evaluation: Evaluation, name: str) -> float | None:
    return next(one.estimate.value for one in evaluation.headline if one.name == name)


def rows(evaluation: Evaluation, table: str) -> list[dict]:
    return evaluation.as_dict()["tables"][table]["rows"]


def test_staging_headline_is_that_of_the_unseen_nights_only():
    nights = staged()
    found = evaluate_staging(held_out(seen=IDS[:6]), nights, QUICK, model="m")
    truth_n = np.concatenate([nights[name].truth_n for name in IDS[6:]])
    predicted_n = np.concatenate([nights[name].probability_nk.argmax(axis=1) for name in IDS[6:]])
    known_n = truth_n >= 0
    assert headline(found, "staging macro F1") == pytest.approx(f1_score(truth_n[known_n], predicted_n[known_n], average="macro"))
    assert headline(found, "staging kappa") == pytest.approx(cohen_kappa_score(truth_n[known_n], predicted_n[known_n]))
    assert (found.data.recordings, found.data.subjects) == (18, 9)
    seen_n = np.concatenate([nights[name].truth_n for name in IDS[:6]])
    seen_answer_n = np.concatenate([nights[name].probability_nk.argmax(axis=1) for name in IDS[:6]])
    accuracy = next(row for row in rows(found, "seen_in_pretraining") if row["metric"] == "accuracy")
    assert accuracy["value"]["value"] == pytest.approx(accuracy_score(seen_n[seen_n >= 0], seen_answer_n[seen_n >= 0]))
    assert any("54 epochs without a human stage" in warning for warning in found.warnings)


def test_staging_by_sex_is_staging_of_these_people():
    nights = staged()
    found = evaluate_staging(held_out(), nights, QUICK, model="m")
    women = IDS[0::2]
    alone = evaluate_staging(held_out().only(np.arange(N) % 2 == 0, ""), {name: nights[name] for name in women}, QUICK, model="m")
    by_sex = {row["sex"]: row for row in rows(found, "by_sex")}
    assert by_sex["female"]["macro F1"]["value"] == pytest.approx(headline(alone, "staging macro F1"))
    assert by_sex["female"]["people"] == 12
    small = next(row for row in rows(found, "by_site") if row["site"].startswith("<script>"))
    assert (small["people"], small["macro F1"], small["remark"]) == (1, None, "too small to report: fewer than 5 subjects")


def test_staging_beside_other_systems_and_nights_without_an_answer():
    nights = staged(ids=IDS[:20])
    found = evaluate_staging(held_out(), nights, QUICK, model="m", others={"worse": staged(1, skill=0.1)})
    assert found.data.left_out["night21"] == "the model gave no stages"
    mine, other = rows(found, "systems")
    assert (mine["system"], other["system"]) == ("m", "worse")
    assert mine["macro F1"]["value"] > other["macro F1"]["value"]
    assert mine["n"] == other["n"] == 20 * 57
    worst = rows(found, "nights_to_look_at")
    assert len(worst) == 10
    assert [row["kappa"] for row in worst] == sorted(row["kappa"] for row in worst)


def test_a_night_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="4 true epochs"):
        StagedNight(np.zeros(4), np.zeros((3, 5)))


def breathing_nights(seed=0):
    rng = np.random.default_rng(seed)
    nights = {}
    for name in IDS:
        ahi = float(rng.gamma(1.2, 14))
        truth_n = (rng.random(50) < ahi / 100).astype(int)
        guess = max(0.0, ahi + rng.normal(0, 6))
        chance_k = np.exp(-np.abs(np.arange(4) - severity([guess])[0]))
        nights[name] = BreathingNight(
            ahi,
            truth_n,
            np.clip(rng.normal(0.3 + 0.4 * truth_n, 0.2), 0, 1),
            chance_k / chance_k.sum(),
            guess / (guess + 15),
            guess,
        )
    return nights


def test_breathing_numbers_are_those_of_the_libraries():
    nights = breathing_nights()
    found = evaluate_breathing(held_out(), nights, QUICK, model="m")
    every = list(nights.values())
    truth_n, score_n = (np.concatenate([getattr(n, a) for n in every]) for a in ("sdb_truth_n", "sdb_probability_n"))
    ahi_n = np.array([n.ahi for n in every])
    assert headline(found, "SDB epoch AUROC") == pytest.approx(roc_auc_score(truth_n, score_n))
    answers_n = [np.argmax(n.severity_probability_k) for n in every]
    assert headline(found, "AHI severity accuracy") == pytest.approx(accuracy_score(severity(ahi_n), answers_n))
    presence = roc_auc_score(ahi_n >= 15, [n.presence_probability for n in every])
    assert headline(found, "AHI ≥ 15 AUROC") == pytest.approx(presence)
    error = mean_absolute_error(ahi_n, [n.ahi_predicted for n in every])
    assert headline(found, "AHI mean absolute error") == pytest.approx(error)


def test_breathing_shows_only_what_was_predicted():
    nights = {
        name: replace(night, severity_probability_k=(np.nan,) * 4, ahi_predicted=np.nan)
        for name, night in breathing_nights().items()
    }
    nights[IDS[0]] = replace(nights[IDS[0]], ahi=np.nan)
    found = evaluate_breathing(held_out(), nights, QUICK, model="m")
    assert [one.name for one in found.headline] == ["SDB epoch AUROC", "SDB epoch AUPRC", "AHI ≥ 15 AUROC"]
    assert found.headline[2].estimate.n == N - 1
    assert any("1 nights without an AHI" in warning for warning in found.warnings)


def test_disease_numbers_stand_beside_age_and_sex():
    outcomes, hazard_nk, weak_nk = followed()
    found = evaluate_disease(
        held_out(), outcomes, hazard_nk, QUICK, model="m", demographics_nk=weak_nk, hazards=baseline_hazards(outcomes, hazard_nk)
    )
    mine = [concordance_index(outcomes.years_nk[:, k], -hazard_nk[:, k], outcomes.event_nk[:, k]) for k in range(3)]
    theirs = [concordance_index(outcomes.years_nk[:, k], -weak_nk[:, k], outcomes.event_nk[:, k]) for k in range(3)]
    assert headline(found, MEAN_C) == pytest.approx(np.mean(mine))
    assert found.headline[0].baseline.value == pytest.approx(np.mean(theirs))
    by_name = {row["condition"]: row for row in rows(found, "conditions")}
    for k, name in enumerate(outcomes.conditions):
        assert by_name[name]["C-index"]["value"] == pytest.approx(mine[k])
        assert by_name[name]["C, age and sex alone"]["value"] == pytest.approx(theirs[k])
        assert by_name[name]["difference"]["value"] == pytest.approx(mine[k] - theirs[k])
    assert card_metrics(found)[0]["baseline"] == pytest.approx(np.mean(theirs))
    assert len(rows(found, "calibration")) == 3


def test_disease_without_a_baseline_or_events_says_so():
    outcomes, hazard_nk, _ = followed()
    event_nk = outcomes.event_nk.copy()
    event_nk[:, 2] = False
    quiet = Outcomes(outcomes.conditions, outcomes.years_nk, event_nk, outcomes.known_nk)
    found = evaluate_disease(held_out(), quiet, hazard_nk, QUICK, model="m", demographics_nk=None)
    assert any("nobody knows from this report what the night adds" in warning for warning in found.warnings)
    assert found.as_dict()["unusable_conditions"] == {"SIM-03": "no events among 24 people"}
    assert found.as_dict()["conditions_averaged"] == 2


def windows(per_night=10):
    rng = np.random.default_rng(0)
    shared_ne = rng.normal(size=(N * per_night, 16))
    z_mne = shared_ne + rng.normal(size=(4, N * per_night, 16))
    return z_mne, rng.random((4, N * per_night)) > 0.1, np.repeat(IDS, per_night)


def test_retrieval_json_is_as_agreed():
    z_mne, present_mn, recordings_n = windows()
    settings = EvaluationSettings(resamples=12, candidates=(50, 100, 5000))
    found = evaluate_retrieval(held_out(seen=IDS[:2]), z_mne, present_mn, recordings_n, settings, model="m").as_dict()
    assert found["candidates"] == 100
    assert len(found["pairs"]) == 12
    for pair in found["pairs"].values():
        assert pair["chance"]["top1"] == pytest.approx(0.01)
        assert pair["top1"] > 10 * pair["chance"]["top1"]
        assert pair["top1"] <= pair["top10"] <= 1
        assert 1 <= pair["median_rank"] <= 100
        assert pair["intervals"]["top1"][0] <= pair["top1"] <= pair["intervals"]["top1"][1]
        assert pair["n"] <= 220
    assert set(found["by_candidates"]) == {"50", "100"}
    assert set(found["leave_one_out"]) == {"others>BAS", "others>RESP", "others>EKG", "others>EMG"}
    assert any("no results for 5,000 candidates" in warning for warning in found["warnings"])
    mean = next(one for one in found["headline"] if one["name"] == "retrieval top-1 among 100, mean of pairs")
    assert mean["value"] == pytest.approx(np.mean([pair["top1"] for pair in found["pairs"].values()]))


def test_retrieval_without_two_modalities_is_refused():
    z_mne, present_mn, recordings_n = windows()
    present_mn[1:] = False
    with pytest.raises(RequestError, match="at least two modalities"):
        evaluate_retrieval(held_out(), z_mne, present_mn, recordings_n, QUICK, model="m")


def test_probe_numbers_and_a_missing_age_group():
    test_set = held_out()
    age_n, bmi_n = test_set.columns["age"], test_set.columns["bmi"]
    rng = np.random.default_rng(0)
    traits = Traits(age_n + rng.normal(0, 8, N), None, rng.random(N), bmi_n + rng.normal(0, 2, N))
    found = evaluate_probe(test_set, traits, QUICK, model="m")
    assert headline(found, "age mean absolute error") == pytest.approx(mean_absolute_error(age_n, traits.age_n))
    assert headline(found, "BMI r") == pytest.approx(np.corrcoef(bmi_n, traits.bmi_n)[0, 1])
    male_n = test_set.columns["sex"] == "male"
    assert headline(found, "sex AUROC") == pytest.approx(roc_auc_score(male_n, traits.male_probability_n))
    assert f"no person of this test set is in the age group {AGE_BINS[0]}: it is left out" in found.warnings
    accuracy = next(row for row in rows(found, "age_groups") if row["metric"] == "accuracy")
    nearest_n = np.maximum(age_bin(traits.age_n), 1)
    assert accuracy["value"]["value"] == pytest.approx((nearest_n == age_bin(age_n)).mean())


def test_age_groups_are_those_of_the_paper():
    np.testing.assert_array_equal(age_bin([0, 18.9, 19, 49.5, 50, 96, np.nan]), [0, 0, 1, 1, 2, 2, -1])


def test_age_group_probabilities_are_ranked_by_class():
    test_set = held_out()
    chance_nk = np.random.default_rng(0).dirichlet(np.ones(3), N)
    found = evaluate_probe(test_set, Traits(age_bin_probability_nk=chance_nk), QUICK, model="m")
    old_n = age_bin(test_set.columns["age"]) == 2
    area = next(row for row in rows(found, "by_age_group") if row["age group"] == AGE_BINS[2])["AUROC"]["value"]
    assert area == pytest.approx(roc_auc_score(old_n, chance_nk[:, 2]))


def test_a_probe_without_anything_known_is_refused():
    with pytest.raises(RequestError, match="nothing to evaluate"):
        evaluate_probe(held_out(columns={}), Traits(age_n=np.ones(N)), QUICK, model="m")


def test_card_metrics_have_people_interval_and_data():
    found = card_metrics(evaluate_staging(held_out(), staged(), QUICK, model="m"))
    assert found[0].keys() == {"name", "value", "low", "high", "n", "data", "baseline"}
    assert found[0]["n"] == 12
    assert found[0]["data"] == "made-up cohort: 24 recordings of 12 people (simulated held-out)"
    undefined = evaluate_staging(
        held_out(), {name: StagedNight(np.full(3, -1), np.full((3, 5), 0.2)) for name in IDS}, QUICK, model="m"
    )
    assert card_metrics(undefined) == []
    json.dumps(undefined.as_dict(), allow_nan=False)
