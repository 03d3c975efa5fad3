"""Masked cross entropies: the published value, torch's own, and that the unknown takes no part."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from sleepfm.training.classification_loss import masked_binary_cross_entropy, masked_cross_entropy

STAGE_WEIGHTS = torch.tensor([1.0, 4.0, 2.0, 4.0, 3.0])
quick = settings(max_examples=12, deadline=None)


def night(seed: int, unknown: float = 0.3, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (3, 20), generator=chance)
    return torch.randn(3, 20, classes, generator=chance), labels.masked_fill(torch.rand(3, 20, generator=chance) < unknown, -1)


def test_value_is_the_published_one(shared: Path) -> None:
    folder = shared / "reference" / "vectors"
    vectors = np.load(folder / "losses.npz")
    want = json.loads((folder / "losses.json").read_text())["masked_weighted_cross_entropy_W1_N1x4_N2x2_N3x4_Rx3"]
    labels = torch.from_numpy(np.where(vectors["ce_padding_mask"] == 1, -1, vectors["ce_labels"]))
    logits = torch.from_numpy(vectors["ce_logits"])
    published = masked_cross_entropy(logits, labels, class_weights_k=STAGE_WEIGHTS, normalise="mask")
    assert published.value.item() == pytest.approx(want, abs=1e-5)
    assert published.metrics["n"] == 50
    proper = masked_cross_entropy(logits, labels, class_weights_k=STAGE_WEIGHTS)
    assert proper.value.item() == pytest.approx(want * 50 / STAGE_WEIGHTS[labels[labels >= 0].long()].sum().item(), rel=1e-5)


@given(seed=st.integers(0, 10_000))
@quick
def test_weighted_mean_is_torchs_and_scikit_learns(seed: int) -> None:
    logits, labels = night(seed)
    known = labels >= 0
    loss = masked_cross_entropy(logits, labels, class_weights_k=STAGE_WEIGHTS)
    torch.testing.assert_close(
        loss.value, F.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=STAGE_WEIGHTS, ignore_index=-1)
    )
    weights = STAGE_WEIGHTS[labels[known]].numpy()
    want = log_loss(labels[known].numpy(), logits[known].double().softmax(-1).numpy(), sample_weight=weights, labels=range(5))
    assert loss.value.item() == pytest.approx(want, rel=1e-4)
    assert loss.metrics["n"] == int(known.sum())
    assert loss.metrics["accuracy"] == pytest.approx((logits.argmax(-1) == labels)[known].float().mean().item())


@given(seed=st.integers(0, 10_000), rubbish=st.sampled_from([1e30, math.inf, math.nan]), binary=st.booleans())
@quick
def test_what_stands_under_the_mask_is_never_looked_at(seed: int, rubbish: float, binary: bool) -> None:
    logits, labels = night(seed, classes=2)
    known = labels >= 0
    if binary:
        logits = logits[..., 0]
    objective = masked_binary_cross_entropy if binary else masked_cross_entropy
    mask = known if binary else known.unsqueeze(-1)
    spoilt = logits.masked_fill(~mask, rubbish).requires_grad_()
    for normalise in ("weights", "mask"):
        loss, spoilt_loss, alone = (
            objective(x, y, normalise=normalise) for x, y in ((logits, labels), (spoilt, labels), (logits[known], labels[known]))
        )
        assert torch.equal(spoilt_loss.value, loss.value)
        assert spoilt_loss.metrics == loss.metrics == alone.metrics
        assert loss.value.item() == pytest.approx(alone.value.item(), rel=1e-5)
    loss = objective(spoilt, labels)
    loss.value.backward()
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[~known].any()
    assert spoilt.grad[known].any()


@pytest.mark.parametrize("normalise", ["weights", "mask"])
def test_a_batch_of_unknowns_is_zero_and_says_so(normalise: str) -> None:
    logits = torch.randn(2, 4, 5, requires_grad=True)
    unknown = torch.full((2, 4), -1)
    for loss in (
        masked_cross_entropy(logits, unknown, class_weights_k=STAGE_WEIGHTS, normalise=normalise),
        masked_binary_cross_entropy(logits[..., 0], unknown, normalise=normalise),
        masked_cross_entropy(logits[:0], unknown[:0]),
        masked_cross_entropy(logits, torch.ones_like(unknown), class_weights_k=torch.tensor([1.0, 0, 0, 0, 0])),
    ):
        logits.grad = None
        loss.value.backward()
        assert loss.value.item() == 0.0
        assert not logits.grad.any()
        assert loss.metrics["n"] in (0, 8)
        assert ("accuracy" in loss.metrics) == (loss.metrics["n"] == 8)


@given(seed=st.integers(0, 10_000), weight=st.floats(0.1, 20))
@quick
def test_binary_form_is_two_classes(seed: int, weight: float) -> None:
    _, labels = night(seed, classes=2)
    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(seed))
    two = torch.stack([torch.zeros_like(logits), logits], dim=-1)
    for normalise in ("weights", "mask"):
        one = masked_binary_cross_entropy(logits, labels, positive_weight=weight, normalise=normalise)
        other = masked_cross_entropy(two, labels, class_weights_k=torch.tensor([1.0, weight]), normalise=normalise)
        assert one.value.item() == pytest.approx(other.value.item(), rel=1e-5)
        assert one.metrics == other.metrics
    known = labels >= 0
    torch.testing.assert_close(
        masked_binary_cross_entropy(logits, labels).value,
        F.binary_cross_entropy_with_logits(logits[known], labels[known].float()),
    )


def test_severity_of_whole_nights_uses_the_same_form() -> None:
    severity = torch.tensor([0, 3, -1, 1])
    logits = torch.full((4, 4), -5.0)
    logits[torch.arange(4), severity.clamp(min=0)] = 5.0
    loss = masked_cross_entropy(logits, severity)
    assert loss.value.item() < 1e-3
    assert loss.metrics == {"n": 3.0, "accuracy": 1.0}


def test_requests_that_do_not_fit_are_refused() -> None:
    logits, labels = night(0)
    with pytest.raises(ValueError, match="do not fit"):
        masked_cross_entropy(logits, labels[:, :3])
    with pytest.raises(ValueError, match="the label 5 is neither one of 5 classes"):
        masked_cross_entropy(logits, torch.full_like(labels, 5))
    with pytest.raises(ValueError, match="the label -2"):
        masked_cross_entropy(logits, torch.full_like(labels, -2))
    with pytest.raises(ValueError, match="4 class weights for 5 classes"):
        masked_cross_entropy(logits, labels, class_weights_k=torch.ones(4))
    with pytest.raises(ValueError, match="do not fit"):
        masked_binary_cross_entropy(logits, labels)
