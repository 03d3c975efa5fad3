"""Numbers that follow from confusion matrices; every function takes one matrix or a stack of them (leading axes).

Rows are the truth (or scoring A), columns the prediction (or scoring B). Undefined is NaN here; those who report turn it into a
reason.
"""

from __future__ import annotations

import numpy as np


def count_confusion(truth_n: np.ndarray, predicted_n: np.ndarray, classes: int) -> np.ndarray:
    """Return (class, class) counts of two (row,) arrays of class numbers from 0 to `classes` - 1."""
    cells_n = np.asarray(truth_n, dtype=np.int64) * classes + np.asarray(predicted_n, dtype=np.int64)
    return np.bincount(cells_n, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion_kk: np.ndarray) -> np.ndarray:
    """Return the share on the diagonal; NaN for an empty matrix."""
    return _ratio(np.trace(confusion_kk, axis1=-2, axis2=-1), confusion_kk.sum(axis=(-2, -1)))


def kappa(confusion_kk: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa (1960), unweighted; NaN where both use one and the same class throughout."""
    total = confusion_kk.sum(axis=(-2, -1), dtype=np.float64)
    by_chance = (confusion_kk.sum(axis=-1, dtype=np.float64) * confusion_kk.sum(axis=-2)).sum(axis=-1)
    agreed = np.trace(confusion_kk, axis1=-2, axis2=-1) * total
    return _ratio(agreed - by_chance, total**2 - by_chance)


def f1_scores(confusion_kk: np.ndarray) -> np.ndarray:
    """Return F1 by class (last axis); NaN for a class that neither side uses."""
    both = np.diagonal(confusion_kk, axis1=-2, axis2=-1)
    return _ratio(2.0 * both, confusion_kk.sum(axis=-1) + confusion_kk.sum(axis=-2))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(bottom) != 0, top / np.asarray(bottom, dtype=np.float64), np.nan)
