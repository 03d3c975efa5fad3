"""Running heads over nights: pieces, epochs, gaps, lights off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import ModelError, RecordingError, RequestError
from sleepfm.inference.embedding import embed
from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings, LeftOut, read_embeddings
from sleepfm.inference.heads import epochs_from_tokens, night_hazards, pieces, stage_night, stage_probabilities
from sleepfm.vocabulary import Modality, Stage
from tests.inference.noise_signals import write_noise
from tests.inference.small_models import ENCODER_HASH, small_disease_head, small_encoder, small_staging_head


def night(
    tokens: int, *, duration_s: float | None = None, seed: int = 0, without: tuple[Modality, ...] = (), **about: object
) -> Embeddings:
    rng = np.random.default_rng(seed)
    rows = {modality: rng.standard_normal((tokens, 16)).astype(np.float32) for modality in Modality}
    origin = EmbeddingOrigin(
        record_id="night",
        model="encoder",
        weights_sha256=ENCODER_HASH,
        recipe="published",
        source_sha256="",
        key="",
        duration_s=tokens * 5.0 if duration_s is None else duration_s,
        last_window_tokens=tokens % 60 or 60,
        gaps=(),
        channels=dict.fromkeys(Modality, ("x",)),
        left_out=(),
        notes=(),
        device="cpu",
        precision="fp32",
        simulated=False,
        sleepfm_version="0",
    )
    return Embeddings({m: r for m, r in rows.items() if m not in without}, 5.0, replace(origin, **about))  # type: ignore[arg-type]


@given(st.integers(1, 400), st.integers(2, 60))
def test_pieces_keep_every_token_once_with_context_on_both_sides(tokens: int, longest: int) -> None:
    made = pieces(tokens, longest)
    assert [i for p in made for i in range(p.keep_start, p.keep_stop)] == list(range(tokens))
    for p in made:
        assert 0 <= p.start <= p.keep_start <= p.keep_stop <= p.stop <= tokens
        assert p.stop - p.start == min(longest, tokens)
        quarter = longest // 4 - 1
        assert p.keep_start - p.start >= quarter or p.start == 0
        assert p.stop - p.keep_stop >= quarter or p.stop == tokens


def test_probabilities_are_the_heads_own(tmp_path: Path) -> None:
    record = embed(write_noise(tmp_path / "a.hdf5", 200.0), small_encoder(), tmp_path, device="cpu")
    embeddings, head = read_embeddings(record.files[0]), small_staging_head()
    probability_tk = stage_probabilities(embeddings, head)
    assert probability_tk.shape == (40, 5)
    np.testing.assert_allclose(probability_tk.sum(axis=1), 1.0, atol=1e-5)
    z = torch.from_numpy(np.stack(list(embeddings.rows.values()))[None])
    with torch.inference_mode():
        logits = head.network(z, torch.zeros(z.shape[:3], dtype=torch.bool))
    np.testing.assert_allclose(probability_tk, torch.softmax(logits[0], -1).numpy(), atol=1e-5)


def test_a_modality_that_is_missing_takes_no_part_and_is_named() -> None:
    whole, head = night(36), small_staging_head()
    missing = night(36, without=(Modality.EMG,), left_out=(LeftOut(Modality.EMG, "", "the recording has no such channel"),))
    probability_tk = stage_probabilities(missing, head)
    assert np.isfinite(probability_tk).all()
    assert np.abs(probability_tk - stage_probabilities(whole, head)).max() > 1e-4
    assert "Without EMG: the recording has no such channel." in stage_night(missing, head).warnings
    one = night(36, without=(Modality.BAS, Modality.RESP, Modality.EMG))
    assert np.isfinite(stage_probabilities(one, head)).all()


def test_a_night_longer_than_the_head_takes() -> None:
    head, long = small_staging_head(max_seq_length=64), night(200)
    probability_tk = stage_probabilities(long, head)
    assert probability_tk.shape == (200, 5)
    for piece in pieces(200, 64):
        rows = {m: r[piece.start : piece.stop] for m, r in long.rows.items()}
        alone = stage_probabilities(replace(long, rows=rows), head)
        kept = slice(piece.keep_start, piece.keep_stop)
        np.testing.assert_allclose(
            probability_tk[kept], alone[piece.keep_start - piece.start : piece.keep_stop - piece.start], atol=1e-5
        )
    assert any("overlapping pieces" in warning for warning in stage_night(long, head).warnings)
    assert not any("overlapping pieces" in warning for warning in stage_night(night(64), head).warnings)


def test_epochs_are_the_mean_of_their_six_tokens() -> None:
    tokens_tk = np.random.default_rng(0).dirichlet(np.ones(5), size=20).astype(np.float32)
    made = epochs_from_tokens(tokens_tk, 98.0)
    assert made.shape == (3, 5)
    for epoch in range(3):
        np.testing.assert_allclose(made[epoch], tokens_tk[6 * epoch : 6 * epoch + 6].mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("gap", "unknown"),
    [
        ((30.0, 60.0), [1]),
        ((29.0, 30.0), [0]),
        ((59.9, 60.1), [1, 2]),
        ((0.0, 5.0), [0]),
        ((80.0, 200.0), [2, 3]),
        ((60.0, 60.0), []),
    ],
)
def test_an_epoch_that_a_gap_touches_is_unknown(gap: tuple[float, float], unknown: list[int]) -> None:
    scoring = stage_night(night(24, gaps=(gap,)), small_staging_head())
    assert scoring.probabilities is not None
    assert np.flatnonzero(np.isnan(scoring.probabilities).all(axis=1)).tolist() == unknown
    assert np.flatnonzero(scoring.stages == Stage.UNKNOWN).tolist() == unknown
    known = scoring.stages >= 0
    assert (scoring.stages[known] == scoring.probabilities[known].argmax(axis=1)).all()
    assert any("gap" in warning for warning in scoring.warnings) == bool(unknown)


def test_a_head_that_prefers_no_stage_makes_nothing_wake() -> None:
    model = small_staging_head()
    for values in model.network.parameters():
        torch.nn.init.zeros_(values)
    scoring = stage_night(night(24), model)
    assert (scoring.stages == Stage.UNKNOWN).all()
    assert scoring.probabilities is not None
    assert np.isnan(scoring.probabilities).all()
    assert any("4 of 4 epochs have no likeliest stage but a tie" in warning for warning in scoring.warnings)


def test_only_whole_epochs_are_staged_and_there_must_be_one() -> None:
    head = small_staging_head()
    assert len(stage_night(night(12, duration_s=59.9), head).stages) == 1
    assert len(stage_night(night(6, duration_s=30.0), head).stages) == 1
    with pytest.raises(RecordingError, match="at least one whole 30-s epoch"):
        stage_night(night(6, duration_s=29.9), head)


def test_short_nights_are_flagged() -> None:
    head = small_staging_head(max_seq_length=4000)
    assert any("under 3 h" in warning for warning in stage_night(night(100), head).warnings)
    assert stage_night(night(3 * 720), head).warnings == ()
    assert any("under 3 h" in w for w in night_hazards(night(40), small_disease_head(), (0.5, 1.0)).warnings)


def test_embeddings_of_another_encoder_are_refused() -> None:
    other = night(12, weights_sha256="0" * 64)
    with pytest.raises(ModelError, match="embed the recording with encoder"):
        stage_night(other, small_staging_head())
    with pytest.raises(ModelError, match="embed the recording with encoder"):
        night_hazards(other, small_disease_head(), (0.5, 1.0))
    with pytest.raises(ModelError, match="per 5 s"):
        stage_night(replace(night(12), row_s=300.0), small_staging_head())
    with pytest.raises(RequestError, match="not for staging"):
        stage_night(night(12), small_disease_head())
    with pytest.raises(RequestError, match="not for disease"):
        night_hazards(night(12), small_staging_head(), (0.5, 1.0))


def test_hazards_look_at_the_heads_longest_input_from_lights_off() -> None:
    head, long = small_disease_head(), night(150)
    late = night_hazards(long, head, (0.5, 1.0), lights_off_s=101.0)
    assert (late.start_s, late.stop_s) == (105.0, 105.0 + 64 * 5)
    assert any("from lights off were looked at" in warning for warning in late.warnings)
    rows = {modality: r[21:85] for modality, r in long.rows.items()}
    alone = night_hazards(replace(long, rows=rows), head, (0.5, 1.0))
    np.testing.assert_allclose(late.log_hazard_k, alone.log_hazard_k, atol=1e-5)
    early = night_hazards(long, head, (0.5, 1.0))
    assert (early.start_s, early.stop_s) == (0.0, 320.0)
    assert any("from the recording's start" in warning for warning in early.warnings)
    whole = night_hazards(night(64, duration_s=319.0), head, (0.5, 1.0))
    assert whole.stop_s == 319.0
    assert not any("takes no more" in warning for warning in whole.warnings)
    assert not np.allclose(early.log_hazard_k, night_hazards(long, head, (0.9, 0.0)).log_hazard_k)
    for outside in (-10.0, -1.0, 751.0, float("nan"), float("inf")):
        with pytest.raises(RequestError, match="outside the recording"):
            night_hazards(long, head, (0.5, 1.0), lights_off_s=outside)


def test_attention_over_a_night_is_lean_and_torch_is_left_as_it_was() -> None:
    seen: list[bool] = []
    head = small_staging_head()
    head.network.register_forward_hook(lambda *_: seen.append(torch.backends.mha.get_fastpath_enabled()))
    stage_probabilities(night(12), head)
    assert seen == [False]
    assert torch.backends.mha.get_fastpath_enabled()
