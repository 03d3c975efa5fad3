"""People in groups by a score, and how long each group stays event-free: Kaplan-Meier and log-rank by lifelines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.survival import KaplanMeier

FEWEST_GROUPS, MOST_GROUPS = 2, 5
_MOST_TICKS = 8


@dataclass(frozen=True, eq=False)
class RiskGroup:
    """One group.

    Attributes
    ----------
    label
        Which part of the people by score, in words.
    n, events
        People, and events among them over the whole follow-up.
    lowest, highest
        Score in the group.
    curve
        Kaplan-Meier with pointwise 95 % band, beginning at 0 years.
    at_risk_t
        People still followed at each of `RiskGroups.ticks_t`.
    """

    label: str
    n: int
    events: int
    lowest: float
    highest: float
    curve: KaplanMeier
    at_risk_t: np.ndarray

    def event_free_at(self, years: float) -> tuple[float, float, float] | None:
        """Return the share event-free after so many years with its band; None beyond the group's follow-up.

        Before the first event the band is NaN: Greenwood's variance is 0 there, which would claim certainty.
        """
        if not 0 <= years <= self.curve.years_t[-1]:
            return None
        here = int(np.searchsorted(self.curve.years_t, years, side="right")) - 1
        free = float(self.curve.event_free_t[here])
        if free == 1.0:
            return free, np.nan, np.nan
        return free, float(self.curve.low_t[here]), float(self.curve.high_t[here])


@dataclass(frozen=True)
class LogRank:
    """Log-rank test that all groups have the same hazard (Mantel 1966).

    Attributes
    ----------
    statistic
        Chi-squared with `degrees` degrees of freedom.
    p
        Two-sided.
    """

    statistic: float
    degrees: int
    p: float


@dataclass(frozen=True, eq=False)
class RiskGroups:
    """Groups from the lowest to the highest scores.

    Attributes
    ----------
    ticks_t
        Years at which those at risk are counted.
    log_rank
        None with `reason` where there is nothing to test.
    """

    groups: tuple[RiskGroup, ...]
    ticks_t: np.ndarray
    log_rank: LogRank | None
    reason: str = ""

    @property
    def n(self) -> int:
        """People in all groups."""
        return sum(group.n for group in self.groups)

    @property
    def events(self) -> int:
        """Events in all groups."""
        return sum(group.events for group in self.groups)


def risk_groups(years_n: np.ndarray, event_n: np.ndarray, score_n: np.ndarray, groups: int = 3) -> RiskGroups:
    """Divide people by quantiles of their score and follow each group.

    Parameters
    ----------
    years_n, event_n
        (person,) years to the event or to the end of the follow-up (above 0), and whether it was an event. One row a person:
        several nights of one person would count that person's event several times.
    score_n
        (person,) finite; people of equal score stay together, so there may be fewer groups.
    groups
        2 to 5.

    Raises
    ------
    ValueError
        When nobody is there, a number is not finite, or the number of groups is none of these.
    """
    from lifelines.statistics import multivariate_logrank_test  # noqa: PLC0415 - slow to import; only this needs it

    years_n, event_n = np.asarray(years_n, dtype=np.float64), np.asarray(event_n, dtype=bool)
    score_n = np.asarray(score_n, dtype=np.float64)
    if not years_n.size or not np.isfinite(years_n).all() or not np.isfinite(score_n).all():
        raise ValueError("risk groups need people with finite times and scores")
    if not FEWEST_GROUPS <= groups <= MOST_GROUPS:
        raise ValueError(f"{groups} groups: choose {FEWEST_GROUPS} to {MOST_GROUPS}")
    limits = np.quantile(score_n, np.arange(1, groups) / groups)
    group_n = np.searchsorted(limits, score_n, side="left")
    ticks_t = year_ticks(float(years_n.max()))
    alone = bool((group_n == group_n[0]).all())
    found = tuple(
        _group("everybody" if alone else _label(group, groups), years_n[inside_n], event_n[inside_n], score_n[inside_n], ticks_t)
        for group in range(groups)
        if (inside_n := group_n == group).any()
    )
    if len(found) < 2:
        return RiskGroups(found, ticks_t, None, "everybody has the same score: there is one group, and nothing to test")
    if not event_n.any():
        return RiskGroups(found, ticks_t, None, "no events: there is nothing to test")
    test = multivariate_logrank_test(years_n, group_n, event_n)
    return RiskGroups(found, ticks_t, LogRank(float(test.test_statistic), len(found) - 1, float(test.p_value)))


def _group(label: str, years_n: np.ndarray, event_n: np.ndarray, score_n: np.ndarray, ticks_t: np.ndarray) -> RiskGroup:
    from lifelines import KaplanMeierFitter  # noqa: PLC0415

    fitted = KaplanMeierFitter(alpha=0.05).fit(years_n, event_n)
    years_t = fitted.survival_function_.index.to_numpy(dtype=np.float64)
    band_tc = fitted.confidence_interval_survival_function_.to_numpy(dtype=np.float64)
    event_free_t = fitted.survival_function_.to_numpy(dtype=np.float64)[:, 0]
    # before the first event there is no variance: the band is the curve; where nobody is left it reaches as high as just before
    low_t = np.where(event_free_t == 1.0, 1.0, band_tc[:, 0])
    high_t = np.where(event_free_t == 1.0, 1.0, np.where(event_free_t > 0.0, band_tc[:, 1], np.nan))
    high_t = np.fmin.accumulate(high_t)
    at_risk_t = fitted.event_table["at_risk"].to_numpy(dtype=np.int64)
    return RiskGroup(
        label=label,
        n=len(years_n),
        events=int(event_n.sum()),
        lowest=float(score_n.min()),
        highest=float(score_n.max()),
        curve=KaplanMeier(years_t, event_free_t, low_t, high_t, at_risk_t),
        at_risk_t=np.array([int((years_n >= tick).sum()) for tick in ticks_t]),
    )


def _label(group: int, groups: int) -> str:
    part = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}[groups]
    if group in (0, groups - 1):
        return f"{'lowest' if group == 0 else 'highest'} {part}"
    return f"middle {part}" if groups == 3 else f"{('second', 'third', 'fourth')[group - 1]} {part}"


def year_ticks(last: float) -> np.ndarray:
    """Return round numbers of years from 0 up to the last, at most eight of them."""
    for step in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0):
        if last / step < _MOST_TICKS:
            return np.arange(0.0, last + 1e-9, step)
    return np.array([0.0, last])
