"""Times until an event, some of them censored: Kaplan-Meier, Breslow's baseline hazard, the slope of a log hazard.

Times are years from the recording; an event is True where the condition came at that time, False where the follow-up ended there.
A log hazard is a Cox model's output: relative only, until a baseline hazard from the training set makes it absolute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri


@dataclass(frozen=True)
class KaplanMeier:
    """Share still event-free after each time (Kaplan and Meier 1958).

    Attributes
    ----------
    years_t
        The distinct times at which somebody had the event or left, in increasing order.
    event_free_t
        Right after that time.
    low_t, high_t
        Pointwise 95 % band: Greenwood's variance on the log(-log) scale; NaN where nobody had the event yet or nobody is left.
    at_risk_t
        People still followed right before that time.
    """

    years_t: np.ndarray
    event_free_t: np.ndarray
    low_t: np.ndarray
    high_t: np.ndarray
    at_risk_t: np.ndarray


def kaplan_meier(years_n: np.ndarray, event_n: np.ndarray, confidence: float = 0.95) -> KaplanMeier:
    """Return the Kaplan-Meier curve of (person,) times and events."""
    years_t, first_t = np.unique(np.sort(years_n), return_index=True)
    at_risk_t = len(years_n) - first_t
    events_t = np.zeros(years_t.size)
    np.add.at(events_t, np.searchsorted(years_t, years_n), np.asarray(event_n, dtype=np.float64))
    event_free_t = np.cumprod(1 - events_t / at_risk_t)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood_t = np.cumsum(events_t / (at_risk_t * (at_risk_t - events_t)))
        log_t = np.log(event_free_t)
        reach_t = ndtri(0.5 + confidence / 2) * np.sqrt(greenwood_t) / log_t
        low_t, high_t = event_free_t ** np.exp(-reach_t), event_free_t ** np.exp(reach_t)
    return KaplanMeier(years_t, event_free_t, low_t, high_t, at_risk_t)


def event_free_at(years_n: np.ndarray, event_n: np.ndarray, horizon: float, weights_bn: np.ndarray) -> np.ndarray:
    """Return (resample,) Kaplan-Meier's event-free share at `horizon` for weighted people.

    NaN where the weighted follow-up ends before the horizon with somebody still event-free: nobody knows what came then.
    """
    order_n = np.argsort(years_n, kind="stable")
    years_n, event_n, weights_bn = years_n[order_n], event_n[order_n], weights_bn[:, order_n]
    followed_b = weights_bn[:, years_n >= horizon].sum(axis=1) > 0
    early = int(np.searchsorted(years_n, horizon, side="right"))
    if early == 0:
        return np.where(followed_b, 1.0, np.nan)
    _, first_t = np.unique(years_n[:early], return_index=True)
    events_bt = np.add.reduceat(weights_bn[:, :early] * event_n[:early], first_t, axis=1)
    at_risk_bt = weights_bn.sum(axis=1, keepdims=True) - (np.cumsum(weights_bn, axis=1) - weights_bn)[:, first_t]
    lost_bt = np.divide(events_bt, at_risk_bt, out=np.zeros_like(events_bt), where=(at_risk_bt > 0) & (events_bt > 0))
    share_b = np.prod(1 - np.minimum(lost_bt, 1), axis=1)
    return np.where(followed_b | (share_b < 1e-12), share_b, np.nan)


@dataclass(frozen=True)
class BaselineHazard:
    """Cumulative hazard of a person whose log hazard is `centre`, as a step function (Breslow 1974).

    Attributes
    ----------
    years_t
        Distinct event times, increasing.
    cumulative_t
        Cumulative hazard from each of these times on.
    variance_t
        Of the cumulative hazard: events over the squared sum of the relative hazards at risk, summed (Tsiatis, Ann Stat 1981,
        9:93-108, without the part that comes from the error of the log hazards, which are taken as given).
    centre
        The log hazard it belongs to.
    followed_years
        The end of the longest follow-up: beyond it the hazard is unknown.
    """

    years_t: np.ndarray
    cumulative_t: np.ndarray
    variance_t: np.ndarray
    centre: float
    followed_years: float

    def at(self, years_n: np.ndarray | float) -> np.ndarray:
        """Return the cumulative hazard at each time; NaN beyond the follow-up."""
        return self._step(self.cumulative_t, years_n)

    def standard_error(self, years_n: np.ndarray | float) -> np.ndarray:
        """Return the standard error of the cumulative hazard at each time; NaN beyond the follow-up."""
        return np.sqrt(self._step(self.variance_t, years_n))

    def _step(self, value_t: np.ndarray, years_n: np.ndarray | float) -> np.ndarray:
        years_n = np.asarray(years_n, dtype=np.float64)
        value_n = np.concatenate([[0.0], value_t])[np.searchsorted(self.years_t, years_n, side="right")]
        return np.where(years_n <= self.followed_years, value_n, np.nan)

    def expected_events(self, log_hazard_n: np.ndarray, years_n: np.ndarray | float) -> np.ndarray:
        """Return each person's cumulative hazard up to the given time: the events expected by then."""
        return self.at(years_n) * np.exp(np.asarray(log_hazard_n, dtype=np.float64) - self.centre)

    def event_free(self, log_hazard_n: np.ndarray, years: float) -> np.ndarray:
        """Return each person's predicted probability of no event within `years`; NaN beyond the follow-up."""
        return np.exp(-self.expected_events(log_hazard_n, years))


def breslow(years_n: np.ndarray, event_n: np.ndarray, log_hazard_n: np.ndarray) -> BaselineHazard:
    """Return Breslow's baseline hazard of the people that a Cox model was trained on (never of those it is tested on).

    Parameters
    ----------
    years_n
        (person,) years to the event or to the end of the follow-up.
    event_n
        (person,) bool.
    log_hazard_n
        (person,) the model's output for each of them.

    Raises
    ------
    ValueError
        When nobody is there or a number is not finite. Without events the hazard is 0 throughout.
    """
    years_n, log_hazard_n = np.asarray(years_n, dtype=np.float64), np.asarray(log_hazard_n, dtype=np.float64)
    if not years_n.size or not np.isfinite(years_n).all() or not np.isfinite(log_hazard_n).all():
        raise ValueError("a baseline hazard needs people with finite times and log hazards")
    centre = float(log_hazard_n.max())  # the exponentials below cannot overflow
    order_n = np.argsort(years_n, kind="stable")
    sorted_n = years_n[order_n]
    at_risk_n = np.cumsum(np.exp(log_hazard_n[order_n] - centre)[::-1])[::-1]
    event_years = years_n[np.asarray(event_n, dtype=bool)]
    years_t, events_t = np.unique(event_years, return_counts=True)
    at_risk_t = at_risk_n[np.searchsorted(sorted_n, years_t)]
    return BaselineHazard(
        years_t, np.cumsum(events_t / at_risk_t), np.cumsum(events_t / at_risk_t**2), centre, float(sorted_n[-1])
    )


_MOST_STEPS = 40
_STEEPEST = 50.0


def cox_slope(
    years_n: np.ndarray, event_n: np.ndarray, log_hazard_n: np.ndarray, weights_bn: np.ndarray, start: float = 0.0
) -> np.ndarray:
    """Return (resample,) the coefficient of a Cox regression on the log hazard alone, ties after Breslow.

    It is 1 when the predicted differences between people are as large as the true ones, below 1 when the model exaggerates them
    (calibration slope; Royston and Altman, BMC Med Res Methodol 2013, 13:33). NaN without events, when all log hazards are the
    same, or when they order the events so perfectly that no finite slope is best.

    Parameters
    ----------
    years_n, event_n, log_hazard_n
        (person,) follow-up and prediction.
    weights_bn
        (resample, person).
    start
        Where the search begins.
    """
    order_n = np.argsort(-years_n, kind="stable")
    years_n, event_n, weights_bn = years_n[order_n], np.asarray(event_n, dtype=bool)[order_n], weights_bn[:, order_n]
    spread = float(np.std(log_hazard_n))
    if spread == 0 or not event_n.any():
        return np.full(len(weights_bn), np.nan)
    x_n = (log_hazard_n[order_n] - log_hazard_n.mean()) / spread
    # Everyone with at least the event's time is at risk: in descending order, up to the last of those with the same time.
    risk_e = np.searchsorted(-years_n, -years_n[event_n], side="right") - 1
    events_be, x_e = weights_bn[:, event_n], x_n[event_n]
    slope_b = np.full(len(weights_bn), start * spread)
    step_b = np.full(len(weights_bn), np.inf)
    for _ in range(_MOST_STEPS):
        hazard_bn = weights_bn * np.exp(np.clip(slope_b[:, None] * x_n, -500, 500))
        first_be, second_be = (np.cumsum(hazard_bn * x_n**k, axis=1)[:, risk_e] for k in (1, 2))
        total_be = np.cumsum(hazard_bn, axis=1)[:, risk_e]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_be = first_be / total_be
            gradient_b = np.where(events_be > 0, events_be * (x_e - mean_be), 0).sum(axis=1)
            information_b = np.where(events_be > 0, events_be * (second_be / total_be - mean_be**2), 0).sum(axis=1)
            step_b = np.clip(gradient_b / information_b, -1, 1)
        slope_b = np.clip(slope_b + np.nan_to_num(step_b), -_STEEPEST, _STEEPEST)
        if (np.abs(np.nan_to_num(step_b)) < 1e-9).all():
            break
    found_b = (np.abs(step_b) < 1e-6) & (np.abs(slope_b) < _STEEPEST)
    return np.where(found_b, slope_b / spread, np.nan)
