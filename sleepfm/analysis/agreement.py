"""How far two scorings agree, epoch by epoch; an epoch that either of them leaves Unknown is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.confusion import accuracy, count_confusion, f1_scores, kappa
from sleepfm.errors import ScoringError
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES


@dataclass(frozen=True)
class Agreement:
    """Agreement of a scoring A with a scoring B.

    Attributes
    ----------
    epochs
        Epochs that both score, over which everything below is computed.
    kappa
        Cohen's kappa, unweighted; None where it is undefined (both use one and the same stage throughout).
    accuracy
        Fraction of epochs with the same stage.
    macro_f1
        Mean of `f1` over the stages that at least one of the two uses.
    f1
        F1 by stage name; None for a stage that neither uses.
    confusion
        (5, 5) counts, rows A, columns B, both in the order of `SCORED_STAGES`.
    unknown
        Epochs of the common part left out because A or B has Unknown there.
    warnings
        What the numbers do not show (different lengths), each a sentence.
    """

    epochs: int
    kappa: float | None
    accuracy: float
    macro_f1: float
    f1: dict[str, float | None]
    confusion: np.ndarray
    unknown: int
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return what `sleepfm agree --json` prints."""
        return {
            "epochs": self.epochs,
            "kappa": self.kappa,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "f1": self.f1,
            "confusion": self.confusion.tolist(),
            "unknown": self.unknown,
            "warnings": list(self.warnings),
        }


def agree(a: np.ndarray, b: np.ndarray) -> Agreement:
    """Compare two scorings of the same recording.

    Parameters
    ----------
    a, b
        (n_epochs,) numbers of `Stage`, on the same grid of epochs. Where the lengths differ the common part is compared and
        the warnings say so.

    Returns
    -------
    Agreement
        Kappa after Cohen (1960): (p_o - p_e) / (1 - p_e).

    Raises
    ------
    ScoringError
        When there is no epoch that both score.
    """
    warnings = []
    common = min(len(a), len(b))
    if len(a) != len(b):
        warnings.append(f"the scorings have {len(a)} and {len(b)} epochs: the first {common} were compared")
    a, b = np.asarray(a[:common]), np.asarray(b[:common])
    known = np.isin(a, SCORED_STAGES) & np.isin(b, SCORED_STAGES)
    n = int(known.sum())
    if n == 0:
        raise ScoringError(f"no epoch is scored in both scorings ({common} epochs in common): there is nothing to compare")

    confusion = count_confusion(a[known], b[known], len(SCORED_STAGES))
    f1 = {STAGE_NAMES[stage]: _defined(value) for stage, value in zip(SCORED_STAGES, f1_scores(confusion), strict=True)}
    used = [value for value in f1.values() if value is not None]
    return Agreement(
        epochs=n,
        kappa=_defined(kappa(confusion)),
        accuracy=float(accuracy(confusion)),
        macro_f1=sum(used) / len(used),
        f1=f1,
        confusion=confusion,
        unknown=common - n,
        warnings=tuple(warnings),
    )


def _defined(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
