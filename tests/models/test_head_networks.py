"""Heads beyond the published two: breathing, hazards from little, probe, decoder, and networks trained end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from sleepfm.errors import ModelError
from sleepfm.models.breathing_head import BreathingHead
from sleepfm.models.end_to_end import EndToEnd
from sleepfm.models.modality_decoder import ModalityDecoder
from sleepfm.models.networks import build
from sleepfm.models.probe import LogisticProbe
from sleepfm.models.risk_heads import night_means
from tests.models.random_models import ENCODER, HEAD, random_network

E = HEAD["embed_dim"]
BREATHING = random_network({"model": "BreathingHead", **HEAD, "num_classes": 4})
MLP = random_network({"model": "NightMLP", "embed_dim": E, "num_classes": 3, "hidden": 8})
DISEASE_CONFIG = {"model": "DiagnosisFinetuneFullLSTMCOXPHWithDemo", **HEAD, "num_layers": 2, "num_classes": 3}
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
PERSON = torch.tensor([[0.4, 1.0]])
few = settings(max_examples=12, deadline=None)


def nights(seed: int, batch: int, tokens: int) -> Tensor:
    return torch.randn(batch, 4, tokens, E, generator=torch.Generator().manual_seed(seed))


def absent(present: set[int], tokens: int) -> Tensor:
    return torch.tensor([m not in present for m in range(4)]).view(1, 4, 1).expand(1, 4, tokens)


@few
@given(st.integers(0, 999), st.lists(st.integers(1, 20), min_size=2, max_size=3))
def test_breathing_ignores_padding_and_batch_mates(seed: int, lengths: list[int]) -> None:
    longest = max(lengths) + 3
    z_bmse = nights(seed, len(lengths), longest)
    mask = (torch.arange(longest) >= torch.tensor(lengths).unsqueeze(1)).unsqueeze(1).expand(-1, 4, -1)
    with torch.inference_mode():
        together = BREATHING(z_bmse, mask)
        for row, length in enumerate(lengths):
            alone = BREATHING(z_bmse[row : row + 1, :, :length], mask[row : row + 1, :, :length])
            epochs = -(-length // 6)
            assert alone.sdb_bn.shape == (1, epochs)
            torch.testing.assert_close(together.sdb_bn[row, :epochs], alone.sdb_bn[0], **CLOSE)
            torch.testing.assert_close(together.severity_bk[row], alone.severity_bk[0], **CLOSE)


@few
@given(st.integers(0, 999), st.permutations(range(4)), st.sets(st.integers(0, 3), min_size=1))
def test_breathing_ignores_the_order_of_modalities_and_what_lies_under_a_missing_one(
    seed: int, order: list[int], present: set[int]
) -> None:
    z_bmse, mask = nights(seed, 1, 13), absent(present, 13)
    with torch.inference_mode():
        expected = BREATHING(z_bmse[:, sorted(present)], mask[:, sorted(present)])
        for made in (BREATHING(z_bmse[:, order], mask[:, order]), BREATHING(z_bmse.masked_fill(mask.unsqueeze(-1), 7e3), mask)):
            for a, b in zip(made, expected, strict=True):
                torch.testing.assert_close(a, b, **CLOSE)


@few
@given(st.integers(0, 999))
def test_presence_is_what_severity_says(seed: int) -> None:
    with torch.inference_mode():
        _, severity_bk, presence_b = BREATHING(nights(seed, 2, 12), torch.zeros(2, 4, 12, dtype=torch.bool))
    torch.testing.assert_close(torch.sigmoid(presence_b), severity_bk.softmax(dim=1)[:, 2:].sum(dim=1))


def test_breathing_learns_through_every_weight_and_an_empty_night_is_finite() -> None:
    head = random_network({"model": "BreathingHead", **HEAD, "num_classes": 4})
    mask = torch.zeros(2, 4, 12, dtype=torch.bool)
    mask[1] = True
    made = head(nights(0, 2, 12), mask)
    assert all(torch.isfinite(part).all() for part in made)
    (made.sdb_bn[0].sum() + made.severity_bk[0, 0]).backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


def test_what_breathing_cannot_be_is_refused() -> None:
    with pytest.raises(ModelError, match="more than 2 classes"):
        build("BreathingHead", {**HEAD, "num_classes": 2})
    with pytest.raises(ValueError, match="per sample"):
        BreathingHead(pooling="published_batch")
    mask = torch.zeros(1, 4, 12, dtype=torch.bool)
    mask[:, :, 2] = True
    with pytest.raises(ValueError, match="padding belongs at the end"):
        BREATHING(nights(0, 1, 12), mask)
    with pytest.raises(ValueError, match="longer than the model's"):
        BREATHING(nights(0, 1, 72), torch.zeros(1, 4, 72, dtype=torch.bool))


def test_a_disease_head_without_age_and_sex_does_not_look_at_them() -> None:
    head = random_network({**DISEASE_CONFIG, "demographics": 0})
    z_bmse, mask = nights(1, 1, 6), torch.zeros(1, 4, 6, dtype=torch.bool)
    with torch.inference_mode():
        assert torch.equal(head(z_bmse, mask), head(z_bmse, mask, PERSON))
        with_person = random_network(DISEASE_CONFIG)
        assert not torch.equal(with_person(z_bmse, mask, PERSON), with_person(z_bmse, mask, 2 * PERSON))
        with pytest.raises(ValueError, match="takes age and sex"):
            with_person(z_bmse, mask)


def test_the_demographics_head_sees_nothing_of_the_night() -> None:
    head = random_network({"model": "DemographicsHead", "num_classes": 3, "num_demographics": 3})
    person = torch.randn(2, 3)
    with torch.inference_mode():
        assert torch.equal(head(nights(1, 2, 4), None, person), head(None, None, person))
        assert head(None, None, person).shape == (2, 3)


@few
@given(st.integers(0, 999), st.sets(st.integers(0, 3)), st.integers(1, 9), st.integers(0, 5))
def test_the_night_mlp_sees_the_means_of_what_is_there(seed: int, present: set[int], tokens: int, padding: int) -> None:
    z_bmse = nights(seed, 1, tokens + padding)
    mask = absent(present, tokens + padding) | (torch.arange(tokens + padding) >= tokens)
    night_bme, present_bm = night_means(z_bmse, mask)
    for m in range(4):
        expected = z_bmse[0, m, :tokens].mean(dim=0) if m in present else torch.zeros(E)
        torch.testing.assert_close(night_bme[0, m], expected, **CLOSE)
    assert present_bm[0].tolist() == [m in present for m in range(4)]
    with torch.inference_mode():
        log_hazard = MLP(z_bmse, mask, PERSON)
        assert torch.isfinite(log_hazard).all()
        torch.testing.assert_close(MLP(night_bme.unsqueeze(2), ~present_bm.unsqueeze(2), PERSON), log_hazard, **CLOSE)


def test_the_night_mlp_tells_modalities_apart_and_refuses_less_than_four() -> None:
    z_bmse, mask = nights(5, 1, 3), torch.zeros(1, 4, 3, dtype=torch.bool)
    with torch.inference_mode():
        assert not torch.allclose(MLP(z_bmse, mask, PERSON), MLP(z_bmse.flip(1), mask, PERSON))
        with pytest.raises(ValueError, match="all 4 modalities"):
            MLP(z_bmse[:, :3], mask[:, :3], PERSON)
        with pytest.raises(ValueError, match="takes age and sex"):
            MLP(z_bmse, mask)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_gives_what_scikit_learn_gives(classes: int) -> None:
    generator = np.random.default_rng(classes)
    z_nf = generator.normal(size=(80, 4 * E)) * generator.uniform(0.1, 5, 4 * E) + 3
    z_nf[:, 7] = 2.0
    labels = generator.integers(0, classes, 80)
    scaler = StandardScaler().fit(z_nf)
    model = LogisticRegression().fit(scaler.transform(z_nf), labels)
    probe = LogisticProbe.fitted(scaler.mean_, np.sqrt(scaler.var_), model.coef_, model.intercept_)
    z_bmse = torch.tensor(z_nf, dtype=torch.float32).view(1, 80, 4, E).transpose(1, 2)
    with torch.inference_mode():
        logits = probe(z_bmse, torch.zeros(1, 4, 80, dtype=torch.bool))[0].numpy()
    expected = model.decision_function(scaler.transform(z_nf)).reshape(80, -1)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_probe_takes_an_absent_modality_as_average() -> None:
    probe = random_network({"model": "LogisticProbe", "embed_dim": E, "num_classes": 2})
    assert isinstance(probe, LogisticProbe)
    z_bmse, mask = nights(3, 1, 5), absent({0, 2}, 5)
    average = z_bmse.clone()
    average[:, [1, 3]] = probe.mean_f.view(4, 1, E)[[1, 3]]
    with torch.inference_mode():
        torch.testing.assert_close(probe(z_bmse, mask), probe(average, torch.zeros_like(mask)))
        with pytest.raises(ValueError, match="all 4 modalities"):
            probe(z_bmse[:, :1], mask[:, :1])
    with pytest.raises(ValueError, match="not those of 4 modalities"):
        LogisticProbe.fitted(np.zeros(8), np.ones(8), np.zeros((1, 9)), np.zeros(1))


@few
@given(st.integers(0, 999), st.sets(st.integers(0, 3)))
def test_the_decoder_looks_only_at_what_is_visible(seed: int, visible: set[int]) -> None:
    torch.manual_seed(seed)
    decoder = ModalityDecoder(embed_dim=E, features=7, num_heads=2).eval()
    tokens_mnse = torch.randn(4, 2, 5, E)
    visible_mn = torch.tensor([[m in visible, True] for m in range(4)])
    with torch.inference_mode():
        predicted = decoder(tokens_mnse, visible_mn)
        assert predicted.shape == (4, 2, 5, 7)
        hidden = tokens_mnse.masked_fill(~visible_mn[:, :, None, None], 9e3)
        torch.testing.assert_close(decoder(hidden, visible_mn), predicted)
        torch.testing.assert_close(decoder(tokens_mnse[:, :1], visible_mn[:, :1]), predicted[:, :1], **CLOSE)
        assert torch.isfinite(predicted).all()


def end_to_end(encoder: str, encoder_numbers: dict[str, Any], head: str, head_numbers: dict[str, Any]) -> EndToEnd:
    numbers = {f"encoder.{k}": v for k, v in encoder_numbers.items()} | {f"head.{k}": v for k, v in head_numbers.items()}
    network = random_network({"model": f"{encoder}+{head}", **numbers})
    assert isinstance(network, EndToEnd)
    return network


PAIRS = [
    ("SetTransformer", ENCODER, "SleepEventLSTMClassifier", {**HEAD, "num_classes": 5}),
    (
        "EfficientNet1D",
        {"embed_dim": E, "patch_size": 640, "bas_channels": 2, "ekg_channels": 1, "width": 10},
        "LogisticProbe",
        {"embed_dim": E, "num_classes": 5},
    ),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_an_end_to_end_network_learns_from_signals_and_ignores_batch_mates(pair: Any) -> None:
    network = end_to_end(*pair)
    counts_mn = torch.tensor([[2, 1], [0, 0], [0, 1], [0, 0]])
    x_rt = torch.randn(4, 2 * 640, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits_nsk = network.forward_sets(x_rt, counts_mn)
        assert logits_nsk.shape == (2, 2, 5)
        torch.testing.assert_close(network.forward_sets(x_rt[:2], counts_mn[:, :1]), logits_nsk[:1], **CLOSE)
        torch.testing.assert_close(network.forward_sets(x_rt[2:], counts_mn[:, 1:]), logits_nsk[1:], **CLOSE)
    network.forward_sets(x_rt, counts_mn).square().sum().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert all("temporal_pooling" in name for name in unused)  # pools a window's tokens, which a head by token does not ask for


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("SetTransformer+", "not an encoder's word"),
        ("LogisticProbe+SetTransformer", "not an encoder's word"),
        ("SetTransformer+LogisticProbe", "embed_dim must be the same"),
    ],
)
def test_networks_that_do_not_go_together_are_refused(word: str, what: str) -> None:
    numbers = {f"encoder.{k}": v for k, v in ENCODER.items()} | {"head.embed_dim": E + 1, "head.num_classes": 5}
    with pytest.raises(ModelError, match=what):
        build(word, numbers)
