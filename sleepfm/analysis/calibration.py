"""Temperature scaling of stage probabilities, fitted on the epochs that somebody looked at.

Guo et al., On calibration of modern neural networks, ICML 2017: one number T divides the logarithms of the probabilities; T above
1 makes an over-confident model humbler and never changes which stage is the most probable.

Epochs that are looked at because the model was unsure of them do no harm to the fit, for it takes the probabilities as given.
Epochs that are in it because the model was wrong do: whoever turns over right epochs without a key and corrects wrong ones would
make every model look hopeless. So nothing is fitted unless a good part of the epochs stands as the model said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sleepfm.vocabulary import Stage

FEWEST_EPOCHS = 30
"""With fewer epochs than this nothing is fitted."""
LEAST_AGREED = 1 / 3
"""Nor when fewer of them stand as the model said: then it is corrections that were stored, not looks."""
_RANGE = (0.2, 8.0)
_FLOOR = 1e-6


@dataclass(frozen=True)
class Temperature:
    """The temperature of a night's probabilities.

    Attributes
    ----------
    value
        T; 1 leaves the probabilities as they are.
    low, high
        Its 95 % interval; None when nothing was fitted.
    n
        Epochs that were looked at and have probabilities.
    agreed
        In how many of them the most probable stage stands now.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    agreed: int

    @property
    def words(self) -> str:
        """Return how the probabilities were calibrated, in a sentence or two."""
        if self.n >= FEWEST_EPOCHS and (self.low is None or self.high is None):
            return (
                f"Probabilities as the model gave them: of the {self.n} epochs scored here only {self.agreed} stand as it "
                "proposed, and corrections alone do not say how often it is right. Confirm right epochs by their key."
            )
        if self.low is None or self.high is None:
            return (
                f"Probabilities as the model gave them: a calibration needs {FEWEST_EPOCHS} looked-at epochs, {self.n} are there."
            )
        return (
            f"Probabilities calibrated on the {self.n} epochs looked at here (the model was right in {self.agreed}): "
            f"temperature {self.value:.2f} (95 % {self.low:.2f} to {self.high:.2f}; 1 changes nothing). Right epochs that were "
            "turned over without a key are not among them, which makes the model look less sure than it deserves."
        )


def fit_temperature(probabilities_ns: np.ndarray, stages_n: np.ndarray) -> Temperature:
    """Fit the temperature by maximum likelihood.

    Parameters
    ----------
    probabilities_ns
        (n, 5) of the epochs that somebody looked at, in the order of `SCORED_STAGES`; rows with NaN are left out.
    stages_n
        (n,) what stands there now; Unknown is left out.

    Returns
    -------
    Temperature
        1 with fewer than `FEWEST_EPOCHS` epochs, or when fewer than `LEAST_AGREED` of them stand as the model said. The interval
        takes the epochs as independent.
    """
    known_n = np.isfinite(probabilities_ns).all(axis=1) & (stages_n != Stage.UNKNOWN)
    log_ns = np.log(np.clip(probabilities_ns[known_n].astype(np.float64), _FLOOR, 1.0))
    true_n = stages_n[known_n].astype(np.int64)
    n = len(true_n)
    agreed = int((log_ns.argmax(axis=1) == true_n).sum()) if n else 0
    if n < FEWEST_EPOCHS or agreed < LEAST_AGREED * n:
        return Temperature(1.0, None, None, n, agreed)
    true_log_n = log_ns[np.arange(n), true_n]
    inverse = 1.0
    lowest, highest = 1 / _RANGE[1], 1 / _RANGE[0]
    curvature = 0.0
    for _ in range(60):  # the log-likelihood is concave in 1/T: Newton's steps, kept inside the range
        weight_ns = _softmax(log_ns * inverse)
        mean_n = (weight_ns * log_ns).sum(axis=1)
        slope = float((true_log_n - mean_n).sum())
        curvature = float((weight_ns * (log_ns - mean_n[:, None]) ** 2).sum())
        if slope > 0:
            lowest = inverse
        else:
            highest = inverse
        step = inverse + slope / curvature if curvature > 0 else math.inf
        following = step if lowest < step < highest else (lowest + highest) / 2
        if abs(following - inverse) < 1e-9:
            break
        inverse = following
    # on the scale of the logarithm of T: from the curvature of the log-likelihood there
    reach = 1.96 / (inverse * math.sqrt(curvature)) if curvature > 0 else math.inf
    value = 1 / inverse
    low, high = value * math.exp(-min(reach, 5.0)), value * math.exp(min(reach, 5.0))
    return Temperature(value, low, high, n, agreed)


def calibrated(probabilities_ns: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities at a temperature; rows with NaN stay NaN."""
    if temperature == 1.0:
        return probabilities_ns
    return _softmax(np.log(np.clip(probabilities_ns.astype(np.float64), _FLOOR, 1.0)) / temperature)


def _softmax(scores_ns: np.ndarray) -> np.ndarray:
    raised_ns = np.exp(scores_ns - scores_ns.max(axis=1, keepdims=True))
    shares_ns: np.ndarray = raised_ns / raised_ns.sum(axis=1, keepdims=True)
    return shares_ns
