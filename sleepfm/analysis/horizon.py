"""Risk within a number of years: discrimination and calibration at that horizon, and events among the highest scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.discrimination import one_class, sample_auroc
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled
from sleepfm.analysis.survival import BaselineHazard, cox_slope, event_free_at

HORIZON_YEARS = 6.0
TOP_SHARE = 0.2
CALIBRATION_GROUPS = 5
_SMALLEST_CALIBRATION_GROUP = 10


def outcome_at(years_n: np.ndarray, event_n: np.ndarray, horizon: float) -> np.ndarray:
    """Return 1 for an event within the horizon, 0 for somebody followed event-free up to it, -1 for the censored before."""
    event_n = np.asarray(event_n, dtype=bool)
    return np.where(event_n & (years_n <= horizon), 1, np.where(years_n >= horizon, 0, -1))


@dataclass(frozen=True)
class Follow:
    """The follow-up of one condition in people who were tested, with the resamples they belong to.

    Attributes
    ----------
    years_n, event_n
        (person,) years to the event or to the end of the follow-up, and whether it was an event.
    boot
        One row a person.
    """

    years_n: np.ndarray
    event_n: np.ndarray
    boot: Bootstrap

    def sample(self, metric: Callable[[np.ndarray], np.ndarray]) -> Sampled:
        """Compute a metric that takes (resample, person) weights."""
        boot = self.boot
        return boot.sample(lambda weights_bs: metric(weights_bs[:, boot.subject_n]), width=len(self.years_n))

    def estimate(self, sampled: Sampled, reason: str = "") -> Estimate:
        """Return it as reported; n are these people."""
        return self.boot.estimate(sampled, reason=reason)


def auroc_at(follow: Follow, score_n: np.ndarray, horizon: float) -> tuple[Sampled, Estimate]:
    """Return the AUROC of the event within the horizon among those whose state at the horizon is known."""
    outcome_n = outcome_at(follow.years_n, follow.event_n, horizon)
    known_n = outcome_n >= 0
    known = follow.boot.part(known_n)
    sampled = sample_auroc(outcome_n[known_n] > 0, score_n[known_n], known)
    return sampled, known.estimate(sampled, reason=one_class(outcome_n[known_n] > 0))


@dataclass(frozen=True)
class Enrichment:
    """What happened to the people with the highest scores.

    Attributes
    ----------
    share
        Which part of the people counts as the top, by score; people of equal score at the limit count in part, all alike.
    events_in_top
        Share of all events, over the whole follow-up, that fell on them; `share` by chance.
    risk_in_top, risk_in_all
        Share with the event within the horizon (1 - Kaplan-Meier), among them and among everybody.
    ratio
        The one over the other; 1 by chance.
    """

    share: float
    events_in_top: Estimate
    risk_in_top: Estimate
    risk_in_all: Estimate
    ratio: Estimate


def enrichment(follow: Follow, score_n: np.ndarray, horizon: float, share: float = TOP_SHARE) -> Enrichment:
    """Return the enrichment of events among the `share` of people with the highest scores."""

    def shares(weights_bs: np.ndarray) -> tuple[np.ndarray, ...]:
        weights_bn = weights_bs[:, follow.boot.subject_n]
        top_bn = weights_bn * _top_part(score_n, weights_bn, share)
        events_b, top_events_b = weights_bn @ follow.event_n, top_bn @ follow.event_n
        in_top_b = np.divide(top_events_b, events_b, out=np.full(len(events_b), np.nan), where=events_b > 0)
        risks = (1 - event_free_at(follow.years_n, follow.event_n, horizon, some_bn) for some_bn in (top_bn, weights_bn))
        return in_top_b, *risks

    in_top, top, everyone = follow.boot.sample_several(shares, width=len(follow.years_n))
    too_short = f"the follow-up ends before {horizon:g} years"
    return Enrichment(
        share=share,
        events_in_top=follow.estimate(in_top, "no events"),
        risk_in_top=follow.estimate(top, f"{too_short} among those with the highest scores"),
        risk_in_all=follow.estimate(everyone, too_short),
        ratio=follow.estimate(top / everyone, f"{too_short}, or nobody had the event by then"),
    )


def _top_part(score_n: np.ndarray, weights_bn: np.ndarray, share: float) -> np.ndarray:
    """Return (resample, person) which part of each person belongs to the top `share` of the weighted people, 0 to 1."""
    order_n = np.argsort(-score_n, kind="stable")
    _, first_l = np.unique(-score_n[order_n], return_index=True)
    level_n = np.searchsorted(first_l, np.arange(score_n.size), side="right") - 1
    people_bl = np.add.reduceat(weights_bn[:, order_n], first_l, axis=1)
    above_bl = np.cumsum(people_bl, axis=1) - people_bl
    places_b1 = share * people_bl.sum(axis=1, keepdims=True)
    part_bl = np.divide(places_b1 - above_bl, people_bl, out=np.zeros_like(people_bl), where=people_bl > 0)
    part_bn = np.empty_like(weights_bn)
    part_bn[:, order_n] = np.clip(part_bl, 0, 1)[:, level_n]
    return part_bn


@dataclass(frozen=True)
class CalibrationGroup:
    """People of similar predicted risk: what was predicted for the horizon and what came.

    Attributes
    ----------
    n, events
        People, and events within the horizon among them.
    predicted
        Mean predicted event-free probability.
    observed
        Kaplan-Meier's event-free share.
    """

    n: int
    events: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class Calibration:
    """Whether predicted probabilities come true at the horizon.

    Attributes
    ----------
    observed_to_expected
        Events within the horizon over those predicted from each person's follow-up; 1 is right, below 1 too many predicted.
    intercept
        Logarithm of that: by how much the log hazards are too low (Crowson, Stat Methods Med Res 2016, 25:1692-1706).
    slope
        Coefficient of a Cox regression on the log hazard: 1 is right, below 1 means that differences are exaggerated.
    groups
        By quantiles of the predicted risk, from the lowest to the highest.
    reason
        Why there are no groups, if there are none.
    """

    observed_to_expected: Estimate
    intercept: Estimate
    slope: Estimate
    groups: tuple[CalibrationGroup, ...]
    reason: str = ""


def calibration(
    follow: Follow, log_hazard_n: np.ndarray, baseline: BaselineHazard, horizon: float, groups: int = CALIBRATION_GROUPS
) -> Calibration:
    """Compare predicted event-free probabilities at the horizon with Kaplan-Meier's.

    Parameters
    ----------
    follow
        The tested people.
    log_hazard_n
        (person,) the model's output.
    baseline
        Of the training set (`breslow`).
    horizon
        Years.
    groups
        Quantile groups; fewer when a group would hold fewer than 10 people.
    """
    years_n, event_n = follow.years_n, follow.event_n
    until_n = np.minimum(years_n, horizon)
    expected_n = baseline.expected_events(log_hazard_n, until_n)
    came_n = (event_n & (years_n <= horizon)).astype(np.float64)
    reason = ""
    if baseline.followed_years < horizon:
        reason = f"the follow-up of the training set ends at {baseline.followed_years:.3g} years, before {horizon:g}"

    def observed_to_expected(weights_bn: np.ndarray) -> np.ndarray:
        expected_b = weights_bn @ expected_n
        return np.divide(weights_bn @ came_n, expected_b, out=np.full(len(expected_b), np.nan), where=expected_b > 0)

    def intercept(weights_bn: np.ndarray) -> np.ndarray:
        ratio_b = observed_to_expected(weights_bn)
        return np.log(ratio_b, out=np.full(len(ratio_b), np.nan), where=ratio_b > 0)

    start = float(np.nan_to_num(cox_slope(years_n, event_n, log_hazard_n, np.ones((1, len(years_n))))[0]))
    slope = follow.sample(lambda weights_bn: cox_slope(years_n, event_n, log_hazard_n, weights_bn, start))
    return Calibration(
        observed_to_expected=follow.estimate(follow.sample(observed_to_expected), reason or "no events are expected"),
        intercept=follow.estimate(follow.sample(intercept), reason or "no events by then"),
        slope=follow.estimate(slope, "no slope is best: no events, or the scores order them perfectly or are all the same"),
        groups=() if reason else _groups(follow, baseline.event_free(log_hazard_n, horizon), horizon, groups),
        reason=reason,
    )


def _groups(follow: Follow, predicted_n: np.ndarray, horizon: float, groups: int) -> tuple[CalibrationGroup, ...]:
    groups = max(1, min(groups, predicted_n.size // _SMALLEST_CALIBRATION_GROUP))
    limits = np.quantile(predicted_n, np.arange(1, groups) / groups)
    group_n = np.searchsorted(limits, predicted_n, side="left")
    found = []
    for group in reversed(range(groups)):  # the highest event-free probability is the lowest risk
        inside_n = group_n == group
        if not inside_n.any():  # equal predictions fill several quantiles
            continue
        part = Follow(follow.years_n[inside_n], follow.event_n[inside_n], follow.boot.part(inside_n))
        found.append(_group(part, predicted_n[inside_n], horizon))
    return tuple(found)


def _group(part: Follow, predicted_n: np.ndarray, horizon: float) -> CalibrationGroup:
    free = part.sample(lambda weights_bn: event_free_at(part.years_n, part.event_n, horizon, weights_bn))
    return CalibrationGroup(
        n=predicted_n.size,
        events=int((part.event_n & (part.years_n <= horizon)).sum()),
        predicted=float(predicted_n.mean()),
        observed=part.estimate(free, f"the follow-up of this group ends before {horizon:g} years"),
    )
