"""From a log hazard to the probability of staying free of a condition, with its band. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sleepfm.inference.risk_result import RiskResult
from sleepfm.models.card import ModelCard

CONFIDENCE = 0.95
_REACH = float(ndtri(0.5 + CONFIDENCE / 2))  # once: a table asks for the curves of a thousand conditions


@dataclass(frozen=True, eq=False)
class Curve:
    """The probability of no event until each time.

    Attributes
    ----------
    years
        (time,) years after the night, rising from 0.
    event_free
        (time,) probability, falling from 1.
    low, high
        (time,) its 95 % band.
    """

    years: np.ndarray
    event_free: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, years: float) -> tuple[float, float, float] | None:
        """Return probability, low and high at a time, at the last known time before it; None beyond the last one."""
        if not 0 <= years <= self.years[-1]:
            return None
        here = int(np.searchsorted(self.years, years, side="right")) - 1
        return float(self.event_free[here]), float(self.low[here]), float(self.high[here])


def event_free_curve(card: ModelCard, k: int, log_hazard: float, low: float, high: float) -> Curve | None:
    """Return the event-free curve of a person.

    The band joins the interval of the log hazard with the standard error of the baseline hazard, where the card has one, on the
    log(-log) scale. It leaves out the error of the model's own weights.

    Parameters
    ----------
    card
        Of the head, or of the model of age and sex alone.
    k
        The place of the condition among that card's labels.
    log_hazard, low, high
        Of the person, with its interval (the value itself three times when it has none).

    Returns
    -------
    Curve or None
        None when the card has no baseline hazard of this condition (see `ranks_only`).
    """
    hazard = card.baseline_hazard
    cumulative = None if hazard is None else hazard.cumulative[k]
    if hazard is None or cumulative is None:
        return None
    cumulative_t = np.asarray(cumulative)
    errors = None if hazard.standard_error is None else hazard.standard_error[k]
    # of log H, by the delta method
    error_t = np.divide(
        np.zeros_like(cumulative_t) if errors is None else errors,
        cumulative_t,
        out=np.zeros_like(cumulative_t),
        where=cumulative_t > 0,
    )
    reach_t = _REACH * error_t

    def free(shift: np.ndarray | float) -> np.ndarray:
        with np.errstate(over="ignore"):  # an infinite hazard is a probability of 0
            return np.concatenate([[1.0], np.exp(-cumulative_t * np.exp(log_hazard + shift))])

    return Curve(
        years=np.concatenate([[0.0], hazard.years]),
        event_free=free(0.0),
        low=free(np.hypot(high - log_hazard, reach_t)),
        high=free(-np.hypot(log_hazard - low, reach_t)),
    )


def ranks_only(card: ModelCard, result: RiskResult, k: int) -> str:
    """Return why a condition's score can only be ranked, as a sentence; empty when it has an event-free curve."""
    if result.demographics_left_out:
        return (
            f"Nobody knows how {card.name} takes age and sex, so the score leaves them out: it ranks people of one age and sex."
            " Import the model with --age-scale and --sex-code to have the whole score."
        )
    if card.baseline_hazard is None:
        return f"{card.name} has no baseline hazard: its scores rank people and give no probabilities."
    if card.baseline_hazard.cumulative[k] is None:
        return f"{card.name} has no baseline hazard of this condition: its score ranks people and gives no probability."
    return ""
