"""Log hazards of many conditions against what came: every condition by itself, always beside a baseline's score.

Conditions without events say nothing about a model: they are listed with that reason and are in no mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from sleepfm.analysis.concordance import Concordance
from sleepfm.analysis.estimates import Estimate, undefined
from sleepfm.analysis.horizon import (
    HORIZON_YEARS,
    TOP_SHARE,
    Calibration,
    Enrichment,
    Follow,
    auroc_at,
    calibration,
    enrichment,
    outcome_at,
)
from sleepfm.analysis.resampling import Bootstrap, Sampled, bootstrap, mean_of
from sleepfm.analysis.survival import BaselineHazard

FEWEST_EVENTS = 10
"""Below this the intervals are wide and the normal approximation of the tests does not hold: no test, not in the mean."""


@dataclass(frozen=True)
class OneSidedTest:
    """A one-sided test from the bootstrap's standard error (normal approximation).

    Attributes
    ----------
    p
        Chance of a difference as large as this if there were none.
    p_bonferroni
        The same times the number of conditions tested, at most 1.
    """

    p: float
    p_bonferroni: float


@dataclass(frozen=True)
class ScoreWorth:
    """What one score is worth for one condition.

    Attributes
    ----------
    c_index
        Harrell's C over the whole follow-up.
    auroc
        Of the event within the horizon; those censored before it are left out.
    above_chance
        Test of C > 0.5; None with too few events.
    """

    c_index: Estimate
    auroc: Estimate
    above_chance: OneSidedTest | None


@dataclass(frozen=True)
class ConditionRisk:
    """One condition.

    Attributes
    ----------
    name
        The condition.
    n, subjects, events
        People with a known follow-up and scores, and events among them.
    left_out
        Rows whose follow-up is unknown or that have no score.
    censored_before_horizon
        People left out of the AUROC.
    model, baseline
        The model's score, and the baseline's for the same people.
    c_difference, auroc_difference
        Model minus baseline on the same resamples; None without a baseline.
    above_baseline
        Test of a C above the baseline's; None without a baseline or with too few events.
    enrichment, baseline_enrichment
        By the model's score and by the baseline's; None when not asked for, or without a baseline.
    calibration
        None when no baseline hazard of the training set was given.
    few_events
        Fewer than `FEWEST_EVENTS`.
    """

    name: str
    n: int
    subjects: int
    events: int
    left_out: int
    censored_before_horizon: int
    model: ScoreWorth
    baseline: ScoreWorth | None
    c_difference: Estimate | None
    auroc_difference: Estimate | None
    above_baseline: OneSidedTest | None
    enrichment: Enrichment | None
    baseline_enrichment: Enrichment | None
    calibration: Calibration | None
    few_events: bool


@dataclass(frozen=True)
class RiskAssessment:
    """All conditions.

    Attributes
    ----------
    conditions
        Those with at least one event and one pair to compare, in the order given.
    unusable
        The other conditions with the reason.
    horizon
        Years.
    mean_c, mean_c_baseline, mean_c_difference
        Over the `averaged` conditions with enough events.
    averaged
        How many those are: also the number that Bonferroni's correction counts.
    """

    conditions: tuple[ConditionRisk, ...]
    unusable: dict[str, str]
    horizon: float
    mean_c: Estimate
    mean_c_baseline: Estimate | None
    mean_c_difference: Estimate | None
    averaged: int

    def count_at_least(self, c_index: float, p: float = 0.01) -> int:
        """Return how many conditions have a C of at least this, above chance at `p` after Bonferroni's correction."""
        return sum(
            condition.model.c_index.value is not None
            and condition.model.c_index.value >= c_index
            and condition.model.above_chance is not None
            and condition.model.above_chance.p_bonferroni < p
            for condition in self.conditions
        )


@dataclass(frozen=True)
class _Measured:
    """A condition with the resamples of its C, kept for the means over conditions."""

    risk: ConditionRisk
    c_model: Sampled
    c_baseline: Sampled | None


def assess_risk(
    names: Sequence[str],
    years_nk: np.ndarray,
    event_nk: np.ndarray,
    log_hazard_nk: np.ndarray,
    subjects_n: np.ndarray,
    *,
    known_nk: np.ndarray | None = None,
    baseline_score_nk: np.ndarray | None = None,
    baseline_hazards: Sequence[BaselineHazard | None] | None = None,
    horizon: float = HORIZON_YEARS,
    top_share: float | None = TOP_SHARE,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> RiskAssessment:
    """Compare log hazards with what came.

    Parameters
    ----------
    names
        (condition,) names.
    years_nk, event_nk
        (recording, condition) years to the event or to the end of the follow-up, and whether it was an event.
    log_hazard_nk
        (recording, condition) the model's outputs; NaN where it gave none.
    subjects_n
        (recording,) the subject of each row.
    known_nk
        (recording, condition) False where the follow-up is unknown (also: the condition was there before the recording).
    baseline_score_nk
        (recording, condition) a second score, that of age and sex alone.
    baseline_hazards
        One a condition, `breslow` of the training set; without one there is no calibration.
    horizon
        Years.
    top_share
        Of the people, for the enrichment; None leaves it out.
    resamples, seed, confidence
        Of the bootstrap over subjects. All conditions and both scores are measured on the same resamples.

    Raises
    ------
    ValueError
        When the shapes do not fit.
    """
    years_nk, event_nk = np.asarray(years_nk, dtype=np.float64), np.asarray(event_nk, dtype=bool)
    log_hazard_nk = np.asarray(log_hazard_nk, dtype=np.float64)
    shape = (len(subjects_n), len(names))
    given = {"years": years_nk, "events": event_nk, "log hazards": log_hazard_nk, "mask": known_nk, "baseline": baseline_score_nk}
    for name, array in given.items():
        if array is not None and np.shape(array) != shape:
            raise ValueError(f"{name} have shape {np.shape(array)}: expected {shape} (recordings, conditions)")
    usable_nk = np.isfinite(years_nk) & np.isfinite(log_hazard_nk)
    if known_nk is not None:
        usable_nk &= np.asarray(known_nk, dtype=bool)
    if baseline_score_nk is not None:
        usable_nk &= np.isfinite(baseline_score_nk)
    boot = bootstrap(subjects_n, resamples=resamples, seed=seed, confidence=confidence)
    measured: list[_Measured] = []
    unusable: dict[str, str] = {}
    for k, name in enumerate(names):
        rows_n = usable_nk[:, k]
        follow = Follow(years_nk[rows_n, k], event_nk[rows_n, k], boot.part(rows_n))
        if reason := _useless(follow):
            unusable[name] = reason
            continue
        scores = [log_hazard_nk[rows_n, k]]
        if baseline_score_nk is not None:
            scores.append(np.asarray(baseline_score_nk, dtype=np.float64)[rows_n, k])
        hazard = baseline_hazards[k] if baseline_hazards is not None else None
        left_out = int((~rows_n).sum())
        measured.append(_measure(name, follow, scores, hazard, horizon=horizon, top_share=top_share, left_out=left_out))
    return _summary(measured, unusable, boot, horizon)


def _useless(follow: Follow) -> str:
    if not follow.years_n.size:
        return "nobody with a known follow-up and a score"
    if not follow.event_n.any():
        return f"no events among {follow.years_n.size} people"
    if np.isnan(Concordance(follow.years_n, follow.event_n, np.zeros(follow.years_n.size))(np.ones((1, follow.years_n.size)))[0]):
        return "no two people to compare: nobody outlived an event"
    return ""


def _measure(
    name: str,
    follow: Follow,
    scores: list[np.ndarray],
    hazard: BaselineHazard | None,
    *,
    horizon: float,
    top_share: float | None,
    left_out: int,
) -> _Measured:
    c_indices = [follow.sample(Concordance(follow.years_n, follow.event_n, score_n)) for score_n in scores]
    areas = [auroc_at(follow, score_n, horizon) for score_n in scores]
    events = int(follow.event_n.sum())
    few = events < FEWEST_EVENTS
    worths = [
        ScoreWorth(follow.estimate(c_index), area, None if few else _test(c_index, 0.5))
        for c_index, (_, area) in zip(c_indices, areas, strict=True)
    ]
    compared = len(scores) > 1
    tops = [] if top_share is None else [enrichment(follow, score_n, horizon, top_share) for score_n in scores]
    outcome_n = outcome_at(follow.years_n, follow.event_n, horizon)
    area_reason = areas[0][1].reason
    risk = ConditionRisk(
        name=name,
        n=follow.years_n.size,
        subjects=follow.boot.people,
        events=events,
        left_out=left_out,
        censored_before_horizon=int((outcome_n < 0).sum()),
        model=worths[0],
        baseline=worths[1] if compared else None,
        c_difference=follow.estimate(c_indices[0] - c_indices[1]) if compared else None,
        auroc_difference=_area_difference(follow, areas, outcome_n, area_reason) if compared else None,
        above_baseline=_test(c_indices[0] - c_indices[1], 0.0) if compared and not few else None,
        enrichment=tops[0] if tops else None,
        baseline_enrichment=tops[1] if tops and compared else None,
        calibration=calibration(follow, scores[0], hazard, horizon) if hazard is not None else None,
        few_events=few,
    )
    return _Measured(risk, c_indices[0], c_indices[1] if compared else None)


def _area_difference(follow: Follow, areas: list[tuple[Sampled, Estimate]], outcome_n: np.ndarray, reason: str) -> Estimate:
    difference = follow.estimate(areas[0][0] - areas[1][0], reason)
    return replace(difference, n=int((outcome_n >= 0).sum()), subjects=areas[0][1].subjects)


def _test(sampled: Sampled, null: float) -> OneSidedTest | None:
    error = sampled.standard_error
    if not np.isfinite(error) or error == 0:
        return None
    p = float(ndtr((null - sampled.point) / error))
    return OneSidedTest(p, p)


def _summary(measured: list[_Measured], unusable: dict[str, str], boot: Bootstrap, horizon: float) -> RiskAssessment:
    enough = [one for one in measured if not one.risk.few_events]
    people = len(boot.subject_n)

    def mean(parts: list[Sampled]) -> Estimate:
        if not parts:
            return undefined(f"no condition has at least {FEWEST_EVENTS} events", n=people, subjects=boot.subjects)
        return boot.estimate(mean_of(parts))

    compared = bool(measured) and measured[0].c_baseline is not None
    baselines = [one.c_baseline for one in enough if one.c_baseline is not None]
    differences = [one.c_model - one.c_baseline for one in enough if one.c_baseline is not None]
    return RiskAssessment(
        conditions=tuple(_corrected(one.risk, len(enough)) for one in measured),
        unusable=unusable,
        horizon=horizon,
        mean_c=mean([one.c_model for one in enough]),
        mean_c_baseline=mean(baselines) if compared else None,
        mean_c_difference=mean(differences) if compared else None,
        averaged=len(enough),
    )


def _corrected(risk: ConditionRisk, tests: int) -> ConditionRisk:
    def correct(test: OneSidedTest | None) -> OneSidedTest | None:
        return None if test is None else OneSidedTest(test.p, min(1.0, test.p * tests))

    def worth(of: ScoreWorth) -> ScoreWorth:
        return replace(of, above_chance=correct(of.above_chance))

    return replace(
        risk,
        model=worth(risk.model),
        baseline=None if risk.baseline is None else worth(risk.baseline),
        above_baseline=correct(risk.above_baseline),
    )
