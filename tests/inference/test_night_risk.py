"""The risk of a night: every number is what the head itself says of what is left of the night."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
import pytest
import torch

from sleepfm.errors import Cancelled, ModelError, RecordingError, RequestError, SleepFMError
from sleepfm.inference.device import Precision
from sleepfm.inference.embedding_files import Embeddings
from sleepfm.inference.heads import night_hazards
from sleepfm.inference.risk import night_risk
from sleepfm.inference.risk_benchmark import benchmark_risk
from sleepfm.inference.risk_result import RiskResult, read_scores
from sleepfm.models.card import DemographicCoding
from sleepfm.vocabulary import Modality
from tests.exact_shap import exact_shares
from tests.inference.risk_material import CODING, PEOPLE, TOKENS, a_night, answer, head, models
from tests.inference.test_heads import night

HEADS = ("lstm", "lstm without age and sex", "mlp")


def part(embeddings: Embeddings, kept_n: np.ndarray) -> Embeddings:
    """Return a night with some of its tokens, one after the other."""
    return Embeddings({modality: rows[kept_n] for modality, rows in embeddings.rows.items()}, 5.0, embeddings.origin)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("without", [(), (Modality.EKG,)])
def test_every_coalition_is_the_heads_own_answer(kind: str, without: tuple[Modality, ...]) -> None:
    of, embeddings = head(kind), a_night(without=without)
    result = night_risk(embeddings, models(of), age=57, sex="male", resamples=10)
    assert result.modalities == tuple(modality for modality in Modality if modality not in without)
    assert result.players == tuple(result.modalities)
    for coalition, value_k in enumerate(result.coalition_ck):
        who = tuple(compress(result.modalities, ((coalition >> i) & 1 for i in range(len(result.modalities)))))
        np.testing.assert_allclose(value_k, answer(of, embeddings, who, 57, "male"), atol=1e-5)
    np.testing.assert_allclose(result.base_k + result.shapley_pk.sum(axis=0), result.log_hazard_k, atol=1e-9)
    everybody = len(result.coalition_ck) - 1
    for i in range(len(result.players)):
        np.testing.assert_allclose(result.ablation_pk[i], result.log_hazard_k - result.coalition_ck[everybody & ~(1 << i)])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_benchmark_measures_what_the_published_size_says(precision: Precision) -> None:
    measured = benchmark_risk(hours=0.2, repeats=1, precision=precision)
    assert measured.difference < (1e-5 if precision == "fp32" else 1e-3)
    assert len(measured.coalitions_s) == len(measured.intervals_s) == len(measured.occlusion_s) == 1


def test_shares_are_those_that_shap_finds_by_asking_the_head() -> None:
    of, embeddings = head(), a_night()
    result = night_risk(embeddings, models(of), age=57, sex="male", resamples=5)

    def game(present_np: np.ndarray) -> np.ndarray:
        return np.stack([answer(of, embeddings, tuple(compress(Modality, row > 0)), 57, "male") for row in present_np])

    shares_pk, base_k = exact_shares(game, 4)
    np.testing.assert_allclose(result.shapley_pk, shares_pk, atol=1e-6)
    np.testing.assert_allclose(result.base_k, base_k, atol=1e-6)


def test_the_score_is_that_of_night_hazards() -> None:
    of, embeddings = head(), a_night()
    result = night_risk(embeddings, models(of), age=57, sex="male", lights_off_s=60, resamples=10)
    known = night_hazards(embeddings, of, CODING.encode(57, "male"), lights_off_s=60)
    np.testing.assert_allclose(result.log_hazard_k, known.log_hazard_k, atol=1e-5)
    assert (result.start_s, result.stop_s) == (known.start_s, known.stop_s) == (60, 1000)
    assert result.window_start_s.tolist() == [60, 300, 600, 900]
    assert result.window_stop_s.tolist() == [300, 600, 900, 1000]
    assert set(known.warnings) <= set(result.warnings)


def test_half_precision_leaves_the_score_alone_and_the_parts_near() -> None:
    of, embeddings = head(), a_night()
    full = night_risk(embeddings, models(of), age=57, sex="male", resamples=5)
    half = night_risk(embeddings, models(of), age=57, sex="male", resamples=5, precision="bf16")
    np.testing.assert_array_equal(half.log_hazard_k, full.log_hazard_k)
    np.testing.assert_allclose(half.base_k + half.shapley_pk.sum(axis=0), full.log_hazard_k, atol=1e-9)
    assert 0 < np.abs(half.shapley_pk - full.shapley_pk).max() < 0.01


@pytest.mark.parametrize("kind", HEADS)
def test_a_windows_share_is_the_score_less_that_of_the_night_without_it(kind: str) -> None:
    of, embeddings = head(kind), a_night()
    result = night_risk(embeddings, models(of), age=57, sex="male", resamples=5)
    window_n = np.arange(TOKENS) // 60
    assert result.occlusion_wk.shape == (4, 3)
    for window, change_k in enumerate(result.occlusion_wk):
        left = answer(of, part(embeddings, window_n != window), tuple(Modality), 57, "male")
        np.testing.assert_allclose(change_k, result.log_hazard_k - left, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "mlp"])
def test_absent_age_and_sex_are_the_mean_over_the_reference_people(kind: str) -> None:
    of, embeddings = head(kind), a_night(without=(Modality.RESP, Modality.EMG))
    result = night_risk(embeddings, models(of, with_reference=True), age=57, sex="male", demographic_players=True, resamples=5)
    assert result.players == ("BAS", "EKG", "age", "sex")
    for coalition, value_k in enumerate(result.coalition_ck):
        who = tuple(compress(result.modalities, (coalition & 1, coalition & 2)))
        expected = np.zeros(3)
        for age, sex, people in PEOPLE:
            as_if = (57 if coalition & 4 else age), ("male" if coalition & 8 else sex)
            expected += people / 4 * answer(of, embeddings, who, *as_if)
        np.testing.assert_allclose(value_k, expected, atol=1e-5)
    plain = night_risk(embeddings, models(of), age=57, sex="male", resamples=5)
    np.testing.assert_allclose(result.log_hazard_k, plain.log_hazard_k)
    np.testing.assert_allclose(result.base_k + result.shapley_pk.sum(axis=0), plain.log_hazard_k, atol=1e-9)


def test_intervals_are_those_of_nights_whose_windows_were_drawn_again() -> None:
    of, embeddings = head("mlp"), a_night()
    result = night_risk(embeddings, models(of), age=57, sex="male", resamples=300)
    rng = np.random.default_rng(1)
    first = np.arange(0, TOKENS, 60)
    drawn = []
    for _ in range(300):
        chosen = rng.integers(0, 4, 4)
        rows = np.concatenate([np.arange(first[w], min(first[w] + 60, TOKENS)) for w in chosen])
        drawn.append(answer(of, part(embeddings, rows), tuple(Modality), 57, "male"))
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    width = high - low
    assert (np.abs(result.low_k - low) < 0.25 * width).all()
    assert (np.abs(result.high_k - high) < 0.25 * width).all()
    assert (result.shapley_low_pk <= result.shapley_high_pk).all()
    assert (result.ablation_low_pk <= result.ablation_high_pk).all()


def test_a_night_of_one_window_has_no_interval() -> None:
    result = night_risk(night(60), models(head()), age=57, sex="male")
    assert np.isnan(result.low_k).all()
    assert np.isfinite(result.log_hazard_k).all()
    np.testing.assert_allclose(result.occlusion_wk[0], result.log_hazard_k - result.base_k, atol=1e-6)
    assert any("single window" in warning for warning in result.warnings)


def test_less_than_a_window_has_no_score() -> None:
    with pytest.raises(RecordingError, match="200 s to look at; a score needs 5 min"):
        night_risk(night(40), models(head()), age=57, sex="male")


def test_age_and_sex_alone_stand_beside_and_are_no_night() -> None:
    of, embeddings = head(), a_night()
    result = night_risk(embeddings, models(of, with_reference=True), age=57, sex="male", resamples=5)
    alone = head("age and sex")
    with torch.inference_mode():
        expected = alone.network(None, None, torch.tensor([[0.57, 1.0]]))[0].numpy()
    assert result.demographics_log_hazard_k is not None
    np.testing.assert_allclose(result.demographics_log_hazard_k, expected, atol=1e-6)
    own = night_risk(embeddings, models(alone), age=57, sex="male", resamples=5)
    assert own.players == ()
    np.testing.assert_allclose(own.log_hazard_k, expected, atol=1e-6)
    np.testing.assert_allclose(own.occlusion_wk, 0, atol=1e-6)
    shared = night_risk(embeddings, models(alone, with_reference=True), age=57, sex="male", demographic_players=True, resamples=5)
    assert shared.players == ("age", "sex")
    np.testing.assert_allclose(shared.base_k + shared.shapley_pk.sum(axis=0), expected, atol=1e-6)


def test_of_a_head_with_unknown_coding_only_the_nights_own_part_is_told() -> None:
    of, embeddings = head(demographics=DemographicCoding(age_scale=100.0)), a_night()
    result = night_risk(embeddings, models(of), age=57, sex="male", resamples=5)
    assert result.demographics_left_out
    known = head()
    for age, sex in ((20, "female"), (57, "male")):  # whatever they are, the night adds the same
        whole, none = (answer(known, embeddings, who, age, sex) for who in (tuple(Modality), ()))
        np.testing.assert_allclose(result.log_hazard_k, whole - none, atol=1e-5)
    np.testing.assert_array_equal(result.base_k, 0)
    assert any("rank people of one age and sex" in warning for warning in result.warnings)
    with pytest.raises(ModelError, match="--age-scale"):
        night_risk(embeddings, models(head("mlp", demographics=DemographicCoding())), age=57, sex="male")
    with pytest.raises(RequestError, match="nobody knows how"):
        night_risk(embeddings, models(of), age=57, sex="male", demographic_players=True)


def test_what_is_not_finite_is_left_out_and_said() -> None:
    of, embeddings = head(), a_night()
    rows = {modality: rows.copy() for modality, rows in embeddings.rows.items()}
    rows[Modality.BAS][10:20, 3] = np.nan
    rows[Modality.EMG][:] = np.inf
    result = night_risk(Embeddings(rows, 5.0, embeddings.origin), models(of), age=57, sex="male", resamples=5)
    kept_n = np.ones(TOKENS, bool)
    kept_n[10:20] = False
    whole = (Modality.BAS, Modality.RESP, Modality.EKG)
    np.testing.assert_allclose(result.log_hazard_k, answer(of, part(embeddings, kept_n), whole, 57, "male"), atol=1e-5)
    assert any("50 s of the night were left out" in warning for warning in result.warnings)
    assert any("Without EMG" in warning for warning in result.warnings)
    for modality in Modality:
        rows[modality][:] = np.nan
    with pytest.raises(RecordingError, match="no finite number"):
        night_risk(Embeddings(rows, 5.0, embeddings.origin), models(of), age=57, sex="male")


def test_a_long_night_is_looked_at_in_part_and_a_foreign_one_not_at_all() -> None:
    long = night(450)
    result = night_risk(long, models(head()), age=57, sex="male", resamples=5)
    assert result.stop_s == 2000
    assert any("Only the first" in warning for warning in result.warnings)
    with pytest.raises(ModelError, match="embed the recording"):
        night_risk(night(60, weights_sha256="0" * 64), models(head()), age=57, sex="male")
    with pytest.raises(RequestError, match="lies outside"):
        night_risk(long, models(head()), age=57, sex="male", lights_off_s=1e6)


def test_it_can_be_cancelled_and_says_how_far_it_is() -> None:
    heard: list[float] = []

    def stop(fraction: float, message: str) -> None:
        heard.append(fraction)
        if "without each window" in message:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        night_risk(a_night(), models(head()), age=57, sex="male", resamples=5, progress=stop)
    assert heard == sorted(heard)


def test_a_result_is_stored_and_read_as_it_was(tmp_path: Path) -> None:
    of = models(head(), with_reference=True)
    for number, result in enumerate(
        night_risk(a_night(), of, age=57.5, sex="male", demographic_players=players, resamples=5) for players in (False, True)
    ):
        path = tmp_path / f"{number}.npz"
        if number:
            result = replace(result, demographics_log_hazard_k=None, demographics_model="")  # noqa: PLW2901
        result.save(path)
        read = RiskResult.load(path)
        for name, value in vars(result).items():
            np.testing.assert_equal(getattr(read, name), value, err_msg=name)
        score_k, left_out = read_scores(path)
        np.testing.assert_array_equal(score_k, result.log_hazard_k)
        assert not left_out
    path.write_bytes(path.read_bytes()[:200])
    for read_it in (RiskResult.load, read_scores):
        with pytest.raises(SleepFMError, match="assess the study again"):
            read_it(path)
