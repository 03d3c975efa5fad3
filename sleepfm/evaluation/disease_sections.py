"""What a disease report shows: conditions, curves, enrichment, calibration."""

from __future__ import annotations

import numpy as np

from sleepfm.analysis.curves import Curve, event_free_curves, roc
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.horizon import outcome_at
from sleepfm.analysis.risk import FEWEST_EVENTS, ConditionRisk, OneSidedTest, RiskAssessment
from sleepfm.evaluation.evaluation import Cell, Figure, IntervalPlot, Line, LinePlot, PValue, Section, Table
from sleepfm.evaluation.outcomes import Outcomes

DEMOGRAPHICS = "age and sex alone"
PAPER_C = 0.75
"""The C-index from which the clinical paper (doi 10.1038/s41591-025-04133-4) counts conditions."""
_DRAWN = 6
_FOREST = 40


def condition_section(found: RiskAssessment) -> Section:
    """Return every condition by itself, with what age and sex alone reach beside it."""
    compared = any(one.baseline is not None for one in found.conditions)
    ranked = sorted(found.conditions, key=lambda one: -(one.model.c_index.value or 0))
    area = f"AUROC at {found.horizon:g} years"
    beside = (f"C, {DEMOGRAPHICS}", "difference", "p (difference > 0)", area, f"AUROC, {DEMOGRAPHICS}") if compared else (area,)
    columns = ("condition", "people", "events", "C-index", *beside, "p (C > 0.5)")
    rows = tuple(_condition_row(one, compared=compared) for one in ranked)
    entries = tuple(
        (one.name, {"model": one.model.c_index} | ({} if one.baseline is None else {DEMOGRAPHICS: one.baseline.c_index}))
        for one in ranked[:_FOREST]
    )
    shown = f"The {_FOREST} conditions with the highest C." if len(ranked) > _FOREST else ""
    reached = found.count_at_least(PAPER_C)
    return Section(
        "Conditions",
        f"Harrell's C: how often the person with the higher predicted hazard has the event first; 0.5 is chance. {reached} of "
        f"{found.averaged} conditions with at least {FEWEST_EVENTS} events reach {PAPER_C} with p < 0.01 after correction.",
        (
            Table(
                "conditions",
                "By condition",
                columns,
                rows,
                "p-values are one-sided, from the bootstrap's standard error (normal approximation), times the number of "
                f"conditions tested ({found.averaged}, Bonferroni). Those censored before {found.horizon:g} years are left out "
                "of the AUROC.",
            ),
            IntervalPlot("c_index", "C-index by condition", "Harrell's C", entries, 0.5, shown),
        ),
    )


def _condition_row(one: ConditionRisk, *, compared: bool) -> tuple[Cell, ...]:
    first: tuple[Cell, ...] = (one.name, one.subjects, one.events, one.model.c_index)
    last: tuple[Cell, ...] = (one.model.auroc,)
    if compared and one.baseline is not None:
        first = (*first, one.baseline.c_index, one.c_difference, _p(one.above_baseline))
        last = (*last, one.baseline.auroc)
    return (*first, *last, _p(one.model.above_chance))


def _p(test: OneSidedTest | None) -> PValue | None:
    return None if test is None else PValue(test.p_bonferroni)


def _most_events(found: RiskAssessment) -> list[ConditionRisk]:
    return sorted(found.conditions, key=lambda one: -one.events)[:_DRAWN]


def curve_section(
    found: RiskAssessment,
    outcomes: Outcomes,
    log_hazard_nk: np.ndarray,
    demographics_nk: np.ndarray | None,
    mask_n: np.ndarray,
) -> Section | None:
    """Return event-free curves by predicted hazard and ROC curves of the conditions with the most events."""
    event_free: list[Figure] = []
    rocs: list[Figure] = []
    for one in _most_events(found):
        k = outcomes.conditions.index(one.name)
        rows_n = mask_n & outcomes.known_nk[:, k] & np.isfinite(outcomes.years_nk[:, k]) & np.isfinite(log_hazard_nk[:, k])
        scores = {"model": log_hazard_nk[:, k]}
        if demographics_nk is not None:
            rows_n &= np.isfinite(demographics_nk[:, k])
            scores[DEMOGRAPHICS] = demographics_nk[:, k]
        years_n, event_n = outcomes.years_nk[rows_n, k], outcomes.event_nk[rows_n, k]
        curves = event_free_curves(years_n, event_n, log_hazard_nk[rows_n, k])
        event_free.append(
            LinePlot(
                f"event_free_{k}",
                f"{one.name}: event-free by predicted hazard",
                "years after the recording",
                "share event-free",
                tuple(Line(label, curve, "steps") for label, curve in curves.items()),
                x_range=None,
                y_range=None,
                note="Kaplan-Meier with 95 % bands.",
            )
        )
        outcome_n = outcome_at(years_n, event_n, found.horizon)
        known_n = outcome_n >= 0
        areas = {name: roc(outcome_n[known_n] > 0, score_n[rows_n][known_n]) for name, score_n in scores.items()}
        lines = tuple(Line(name, curve, faint=name == DEMOGRAPHICS) for name, curve in areas.items() if curve is not None)
        if lines:
            title = f"{one.name}: ROC at {found.horizon:g} years"
            rocs.append(LinePlot(f"roc_{k}", title, "1 - specificity", "sensitivity", lines, diagonal=True))
    if not event_free:
        return None
    text = f"The {len(event_free)} conditions with the most events."
    return Section("Curves", text, (*event_free, *rocs))


def enrichment_section(found: RiskAssessment) -> Section | None:
    """Return what happened to the people with the highest hazards; None without conditions."""
    judged = [(one, one.enrichment) for one in found.conditions if one.enrichment is not None]
    if not judged:
        return None
    share = f"{100 * judged[0][1].share:g} %"
    compared = judged[0][0].baseline_enrichment is not None
    at = f"risk at {found.horizon:g} years"
    beside = (f"share of events, {DEMOGRAPHICS}", f"ratio, {DEMOGRAPHICS}") if compared else ()
    columns = ("condition", "events", f"share of events in the top {share}", f"{at}, top {share}", f"{at}, all", "ratio", *beside)
    rows = tuple(
        (
            *(one.name, one.events, e.events_in_top, e.risk_in_top, e.risk_in_all, e.ratio),
            *(() if one.baseline_enrichment is None else (one.baseline_enrichment.events_in_top, one.baseline_enrichment.ratio)),
        )
        for one, e in judged
    )
    note = f"By chance the top {share} hold {share} of the events and the ratio is 1. Risks are 1 - Kaplan-Meier."
    return Section(
        "Enrichment",
        f"What happened to the {share} of people with the highest predicted hazard.",
        (Table("enrichment", f"The top {share} by hazard", columns, rows, note),),
    )


def calibration_section(found: RiskAssessment) -> Section | None:
    """Return predicted against observed event-free probability; None without baseline hazards."""
    judged = [(one, one.calibration) for one in found.conditions if one.calibration is not None]
    if not judged:
        return None
    rows = tuple((one.name, one.events, c.observed_to_expected, c.intercept, c.slope) for one, c in judged)
    by_group: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    drawn = {one.name for one in _most_events(found)}
    for one, c in judged:
        for place, group in enumerate(c.groups):
            by_group.append((one.name, place + 1, group.n, group.events, group.predicted, group.observed))
        if one.name in drawn and c.groups:
            figures.append(_calibration_plot(one.name, found, [(g.predicted, g.observed) for g in c.groups]))
    columns = ("condition", "events", "observed / expected events", "intercept", "slope")
    note = (
        "Observed / expected: 1 is right, below 1 too much risk was predicted. Slope: 1 is right, below 1 differences between "
        "people are exaggerated. The baseline hazard is Breslow's, of the training set."
    )
    group_columns = ("condition", "group (1 = lowest risk)", "people", "events", "predicted event-free", "observed event-free")
    return Section(
        "Calibration",
        f"Whether the predicted probability of staying event-free for {found.horizon:g} years comes true.",
        (
            Table("calibration", "Calibration", columns, rows, note),
            *figures,
            Table(
                "calibration_groups", "By quantile of predicted risk", group_columns, tuple(by_group), "Observed is Kaplan-Meier."
            ),
        ),
    )


def _calibration_plot(name: str, found: RiskAssessment, groups: list[tuple[float, Estimate]]) -> LinePlot:
    known = sorted(
        (predicted, observed) for predicted, observed in groups if observed.value is not None and observed.low is not None
    )
    x = np.array([predicted for predicted, _ in known])
    y, low, high = (
        np.array([getattr(observed, part) for _, observed in known], dtype=np.float64) for part in ("value", "low", "high")
    )
    ends = (float(min(x.min(initial=1), low.min(initial=1))) - 0.02, 1.0)
    key = [one.name for one in found.conditions].index(name)
    return LinePlot(
        f"calibration_{key}", f"{name}: calibration", "predicted event-free probability", "observed share event-free",
        (Line("model", Curve(x, y, low, high), "points"),), diagonal=True, x_range=ends, y_range=ends,
    )  # fmt: skip


def unusable_section(found: RiskAssessment) -> Section | None:
    """Return the conditions that could not be evaluated with the reason; None when all could."""
    if not found.unusable:
        return None
    rows = tuple(found.unusable.items())
    return Section(
        "Conditions that say nothing",
        "They are in no mean and in no count.",
        (Table("unusable_conditions", "Not evaluated", ("condition", "reason"), rows),),
    )
