"""Evaluation of disease risk: log hazards against follow-up, condition by condition, beside what age and sex alone tell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sleepfm.analysis.risk import FEWEST_EVENTS, ConditionRisk, RiskAssessment, assess_risk
from sleepfm.analysis.survival import BaselineHazard, breslow
from sleepfm.evaluation.disease_sections import (
    DEMOGRAPHICS,
    calibration_section,
    condition_section,
    curve_section,
    enrichment_section,
    unusable_section,
)
from sleepfm.evaluation.evaluation import Evaluation, Headline
from sleepfm.evaluation.held_out import HeldOut, describe, separate
from sleepfm.evaluation.outcomes import Outcomes
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.tables import Scores, comparison_section, group_section, sections, seen_section

MEAN_C = "mean C-index"
_MOST_HEADLINES = 6
_MOST_BY_GROUP = 3


def baseline_hazards(outcomes: Outcomes, log_hazard_nk: np.ndarray) -> tuple[BaselineHazard | None, ...]:
    """Return Breslow's baseline hazard of each condition from the training set's follow-up and the model's outputs for it.

    None for a condition without anybody who has a known follow-up and an output.
    """
    found: list[BaselineHazard | None] = []
    for k in range(len(outcomes.conditions)):
        rows_n = outcomes.known_nk[:, k] & np.isfinite(outcomes.years_nk[:, k]) & np.isfinite(log_hazard_nk[:, k])
        people = outcomes.years_nk[rows_n, k], outcomes.event_nk[rows_n, k], log_hazard_nk[rows_n, k]
        found.append(breslow(*people) if rows_n.any() else None)
    return tuple(found)


def disease_scores(
    held_out: HeldOut,
    outcomes: Outcomes,
    log_hazard_nk: np.ndarray,
    settings: EvaluationSettings,
    mask_n: np.ndarray | None = None,
) -> Scores:
    """Return the mean C over the conditions with enough events, and C and horizon AUROC of each condition.

    Parameters as in `evaluate_disease`; `mask_n` (recording,) chooses recordings.
    """
    return _scores(_assess(held_out, outcomes, log_hazard_nk, settings, mask_n))


def evaluate_disease(
    held_out: HeldOut,
    outcomes: Outcomes,
    log_hazard_nk: np.ndarray,
    settings: EvaluationSettings,
    *,
    model: str,
    demographics_nk: np.ndarray | None,
    hazards: tuple[BaselineHazard | None, ...] | None = None,
    others: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Evaluate disease risk.

    Parameters
    ----------
    held_out
        The test set.
    outcomes
        Its follow-up, in the order of its recordings.
    log_hazard_nk
        (recording, condition) the model's outputs; NaN where it gave none.
    settings
        Bootstrap, groups, horizon.
    model
        Its name.
    demographics_nk
        (recording, condition) log hazards from age and sex alone, fitted on the same training set. None only when no such model
        can be had: the report then says that nobody knows what the night adds.
    hazards
        `baseline_hazards` of the training set, for calibration.
    others
        Log hazards of other systems by name: the same network trained end to end, the embedding without age and sex.

    Raises
    ------
    RequestError
        When nothing is left to test, or nothing that the encoder has not seen.
    """
    separated = separate(held_out, settings)
    mask_n = separated.headline_n
    found = _assess(
        held_out,
        outcomes,
        log_hazard_nk,
        settings,
        mask_n,
        demographics_nk=demographics_nk,
        hazards=hazards,
        top_share=settings.top_share,
    )

    def measure(part_n: np.ndarray) -> Scores:
        return _scores(
            _assess(held_out, outcomes, log_hazard_nk, settings, part_n, demographics_nk=demographics_nk),
            each=len(outcomes.conditions) <= 3,
        )

    systems = {model: log_hazard_nk}
    if demographics_nk is not None:
        systems[DEMOGRAPHICS] = demographics_nk
    systems.update(others or {})
    cases = {
        name: _scores(_assess(held_out, outcomes, part_nk, settings, mask_n), each=False) for name, part_nk in systems.items()
    }
    return Evaluation(
        task="disease",
        title="Disease risk",
        model=model,
        simulated=held_out.simulated,
        data=describe(held_out, mask_n),
        settings=settings.model_dump(mode="json"),
        headline=_headline(found),
        sections=sections(
            condition_section(found),
            curve_section(found, outcomes, log_hazard_nk, demographics_nk, mask_n),
            enrichment_section(found),
            calibration_section(found),
            comparison_section(cases, MEAN_C, 0.5) if others else None,
            group_section(held_out, separated, settings, measure, MEAN_C),
            seen_section(separated, measure),
            unusable_section(found),
        ),
        warnings=(
            *separated.warnings,
            *_warnings(found, with_baseline=demographics_nk is not None, with_hazards=hazards is not None),
        ),
        extra={
            "horizon_years": found.horizon,
            "conditions_averaged": found.averaged,
            "unusable_conditions": found.unusable,
            "by_condition": {one.name: _in_short(one) for one in found.conditions},
        },
    )


def _assess(
    held_out: HeldOut,
    outcomes: Outcomes,
    log_hazard_nk: np.ndarray,
    settings: EvaluationSettings,
    mask_n: np.ndarray | None,
    *,
    demographics_nk: np.ndarray | None = None,
    hazards: tuple[BaselineHazard | None, ...] | None = None,
    top_share: float | None = None,
) -> RiskAssessment:
    kept = np.arange(len(held_out.recordings)) if mask_n is None else np.flatnonzero(mask_n)
    return assess_risk(
        outcomes.conditions,
        outcomes.years_nk[kept],
        outcomes.event_nk[kept],
        np.asarray(log_hazard_nk)[kept],
        held_out.subject_n[kept],
        known_nk=outcomes.known_nk[kept],
        baseline_score_nk=None if demographics_nk is None else np.asarray(demographics_nk)[kept],
        baseline_hazards=hazards,
        horizon=settings.horizon_years,
        top_share=top_share,
        **settings.bootstrap,
    )


def _scores(found: RiskAssessment, *, each: bool = True) -> Scores:
    named = {MEAN_C: found.mean_c}
    if found.mean_c_baseline is not None and found.mean_c_difference is not None:
        named[f"{MEAN_C}, {DEMOGRAPHICS}"] = found.mean_c_baseline
        named["difference"] = found.mean_c_difference
    if each:
        for one in found.conditions:
            named[f"C {one.name}"] = one.model.c_index
    return named


def _in_short(one: ConditionRisk) -> dict[str, object]:
    """Return what a condition's risk is worth for the JSON and the model's reference."""
    return {
        "c_index": one.model.c_index.as_dict(),
        "demographics_c_index": None if one.baseline is None else one.baseline.c_index.as_dict(),
        "difference": None if one.c_difference is None else one.c_difference.as_dict(),
        "p": None if one.above_baseline is None else one.above_baseline.p_bonferroni,
        "few_events": one.few_events,
    }


def _headline(found: RiskAssessment) -> tuple[Headline, ...]:
    meaning = f"over {found.averaged} conditions with at least {FEWEST_EVENTS} events"
    lines = [Headline(MEAN_C, found.mean_c, meaning, found.mean_c_baseline, DEMOGRAPHICS, chance=0.5)]
    if len(found.conditions) <= _MOST_HEADLINES:
        for one in found.conditions:
            baseline = None if one.baseline is None else one.baseline.c_index
            lines.append(Headline(f"C-index {one.name}", one.model.c_index, f"{one.events} events", baseline, DEMOGRAPHICS, 0.5))
    return tuple(lines)


def _warnings(found: RiskAssessment, *, with_baseline: bool, with_hazards: bool) -> list[str]:
    told = []
    if not with_baseline:
        told.append("no risk from age and sex alone was given: nobody knows from this report what the night adds to it")
    if not with_hazards:
        told.append("no baseline hazard of the training set was given: absolute risks are not checked")
    few = [one.name for one in found.conditions if one.few_events]
    if few:
        told.append(f"conditions with fewer than {FEWEST_EVENTS} events are shown, but not tested and in no mean: {len(few)}")
    if found.unusable:
        told.append(f"conditions without events, or with nobody followed, are listed and in no mean: {len(found.unusable)}")
    return told
