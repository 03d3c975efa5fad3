"""Linear probes: what logistic and ridge regression read from frozen embeddings, as the 2024 paper does (arXiv 2405.17766)."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from sleepfm.errors import RequestError
from sleepfm.training.nights import Night
from sleepfm.vocabulary import TOKENS_PER_EPOCH, Modality

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse strengths of the penalty, of which the validation people choose one."""
_UNCHOSEN = 1e-3
_MOST_STEPS = 100


def epoch_features(night: Night, modalities: Collection[Modality] | None = None) -> np.ndarray:
    """Return (epoch, M·E): each modality's mean over the epoch's six tokens, NaN where a modality is absent or not asked for."""
    tokens = min(night.epochs * TOKENS_PER_EPOCH, night.tokens) // TOKENS_PER_EPOCH * TOKENS_PER_EPOCH
    rows_mse = night.read(0, tokens).astype(np.float32)
    epochs = tokens // TOKENS_PER_EPOCH
    parts = []
    for modality in Modality:
        if modality in night.modalities and (modalities is None or modality in modalities):
            rows_se = rows_mse[night.modalities.index(modality)]
            parts.append(rows_se.reshape(epochs, TOKENS_PER_EPOCH, night.embed_dim).mean(axis=1))
        else:
            parts.append(np.full((epochs, night.embed_dim), np.nan, np.float32))
    return np.concatenate(parts, axis=1)


def night_features(night: Night, modalities: Collection[Modality] | None = None) -> np.ndarray:
    """Return (M·E·2,): each modality's mean and standard deviation over the night, NaN where it is absent or not asked for."""
    epochs_nf = epoch_features(night, modalities)
    return np.concatenate([epochs_nf.mean(axis=0), epochs_nf.std(axis=0)])


@dataclass(frozen=True)
class Examples:
    """Features and what is to be read from them.

    Attributes
    ----------
    x_nf
        (example, feature), NaN where a modality is absent.
    y_n
        (example,) class numbers (below 0 unknown), or numbers (NaN unknown).
    """

    x_nf: np.ndarray
    y_n: np.ndarray

    def known(self) -> Examples:
        """Return those with a label and at least one modality."""
        labelled_n = self.y_n >= 0 if np.issubdtype(self.y_n.dtype, np.integer) else np.isfinite(self.y_n)
        kept_n = labelled_n & np.isfinite(self.x_nf).any(axis=1)
        return Examples(self.x_nf[kept_n], self.y_n[kept_n])

    def thinned(self, most: int) -> Examples:
        """Return at most so many, evenly spread."""
        if len(self.y_n) <= most:
            return self
        kept = np.linspace(0, len(self.y_n) - 1, most).round().astype(int)
        return Examples(self.x_nf[kept], self.y_n[kept])


@dataclass(frozen=True)
class Scaling:
    """The features that vary in training, with their mean and standard deviation; what is absent counts as average."""

    used: np.ndarray
    mean_f: np.ndarray
    scale_f: np.ndarray

    @classmethod
    def of(cls, x_nf: np.ndarray) -> Scaling:
        """Return the scaling of training features."""
        often_there = np.flatnonzero(np.isfinite(x_nf).sum(axis=0) > 1)
        mean_f, scale_f = np.nanmean(x_nf[:, often_there], axis=0), np.nanstd(x_nf[:, often_there], axis=0)
        varies_f = scale_f > 0
        return cls(often_there[varies_f], mean_f[varies_f], scale_f[varies_f])

    def __call__(self, x_nf: np.ndarray) -> np.ndarray:
        """Return scaled features without NaN, (example, feature in use) float32."""
        return np.nan_to_num((x_nf[:, self.used] - self.mean_f) / self.scale_f, nan=0.0).astype(np.float32)


@dataclass(frozen=True)
class ClassProbe:
    """Logistic regression."""

    scaling: Scaling
    model: LogisticRegression
    classes: int

    def __call__(self, x_nf: np.ndarray) -> np.ndarray:
        """Return (example, class) probabilities; NaN where no modality is there, 0 for a class that training did not have."""
        probability_nk = np.zeros((len(x_nf), self.classes))
        if len(x_nf):
            probability_nk[:, self.model.classes_] = self.model.predict_proba(self.scaling(x_nf))
        probability_nk[~np.isfinite(x_nf).any(axis=1)] = np.nan
        return probability_nk


@dataclass(frozen=True)
class NumberProbe:
    """Ridge regression."""

    scaling: Scaling
    model: Ridge

    def __call__(self, x_nf: np.ndarray) -> np.ndarray:
        """Return (example,) numbers; NaN where no modality is there."""
        found_n = np.full(len(x_nf), np.nan)
        there_n = np.isfinite(x_nf).any(axis=1)
        if there_n.any():
            found_n[there_n] = self.model.predict(self.scaling(x_nf[there_n]))
        return found_n


def fit_classes(train: Examples, validation: Examples, classes: int) -> ClassProbe:
    """Fit logistic regression; the strength of its penalty is the one with the lowest log loss of the validation people.

    Raises
    ------
    RequestError
        When training has fewer than two classes.
    """
    train, validation = train.known(), validation.known()
    if np.unique(train.y_n).size < 2:
        raise RequestError("the training people have fewer than two classes: there is nothing to tell apart")
    scaling = Scaling.of(train.x_nf)
    x_nf = scaling(train.x_nf)
    if not x_nf.shape[1]:
        raise RequestError("the training people's embeddings are all alike: there is nothing to learn from")

    def fit(strength: float) -> ClassProbe:
        model = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one cut short is judged like the others
            return ClassProbe(scaling, model.fit(x_nf, train.y_n), classes)

    def loss(probe: ClassProbe) -> float:
        right_n = probe(validation.x_nf)[np.arange(len(validation.y_n)), validation.y_n]
        return float(-np.log(np.maximum(right_n, 1e-12)).mean())

    if not len(validation.y_n):
        return fit(_UNCHOSEN)
    return min((fit(strength) for strength in _STRENGTHS), key=loss)


def fit_numbers(train: Examples, validation: Examples) -> NumberProbe:
    """Fit ridge regression; the strength of its penalty is the one with the lowest error of the validation people.

    Raises
    ------
    RequestError
        When training has fewer than two examples.
    """
    train, validation = train.known(), validation.known()
    if len(train.y_n) < 2:
        raise RequestError("fewer than two training people have this number: there is nothing to learn from")
    scaling = Scaling.of(train.x_nf)
    x_nf = scaling(train.x_nf)
    if not x_nf.shape[1]:
        raise RequestError("the training people's embeddings are all alike: there is nothing to learn from")

    def fit(strength: float) -> NumberProbe:
        return NumberProbe(scaling, Ridge(alpha=1 / strength).fit(x_nf, train.y_n))

    if not len(validation.y_n):
        return fit(_UNCHOSEN)
    return min(
        (fit(strength) for strength in _STRENGTHS),
        key=lambda probe: float(np.mean((probe(validation.x_nf) - validation.y_n) ** 2)),
    )


def stack(features: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Examples:
    """Return the epochs of several nights as examples."""
    lengths = [min(len(x_nf), len(y_n)) for x_nf, y_n in zip(features, labels, strict=True)]
    x = [x_nf[:n] for x_nf, n in zip(features, lengths, strict=True)]
    y = [y_n[:n] for y_n, n in zip(labels, lengths, strict=True)]
    return Examples(np.concatenate(x), np.concatenate(y).astype(np.int64))
