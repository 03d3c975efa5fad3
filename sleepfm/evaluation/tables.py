"""Tables that every evaluation has: the numbers, the numbers of each group, the numbers of several cases beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.subgroups import GroupResult, by_group
from sleepfm.evaluation.evaluation import Cell, IntervalPlot, Section, Table
from sleepfm.evaluation.held_out import HeldOut, Separated
from sleepfm.evaluation.settings import EvaluationSettings

Scores = Mapping[str, Estimate]
"""Metrics by name, of one model on one set of recordings."""
_UNITS = {"age": " (years)", "bmi": " (kg/m²)"}
Measure = Callable[[np.ndarray], Scores]
"""From a (recording,) mask to the metrics of those recordings."""


def metric_table(key: str, title: str, scores: Scores, note: str = "") -> Table:
    """Return one metric a row with its interval, n and people."""
    rows = tuple((name, estimate, estimate.n, estimate.subjects) for name, estimate in scores.items())
    return Table(key, title, ("metric", "value", "n", "people"), rows, note)


def case_table(key: str, title: str, axis: str, cases: Mapping[str, Scores | str], note: str = "") -> Table:
    """Return one case a row and one metric a column; a case that could not be measured has its reason instead of numbers."""
    metrics = list(dict.fromkeys(name for scores in cases.values() if not isinstance(scores, str) for name in scores))
    rows: list[tuple[Cell, ...]] = []
    for label, scores in cases.items():
        if isinstance(scores, str):
            rows.append((label, None, None, *(None for _ in metrics), scores))
        else:
            first = next(iter(scores.values()), None)
            count = (None, None) if first is None else (first.n, first.subjects)
            rows.append((label, *count, *(scores.get(name) for name in metrics), ""))
    told = any(row[-1] for row in rows)
    columns = (axis, "n", "people", *metrics, *(("remark",) if told else ()))
    return Table(key, title, columns, tuple(row if told else row[:-1] for row in rows), note)


def case_plot(
    key: str, title: str, metric: str, cases: Mapping[str, Scores | str], reference: float | None = None
) -> IntervalPlot:
    """Return one metric of all cases beside each other."""
    entries = tuple(
        (label, {metric: scores[metric]}) for label, scores in cases.items() if not isinstance(scores, str) and metric in scores
    )
    return IntervalPlot(key, title, metric, entries, reference)


def group_section(
    held_out: HeldOut, separated: Separated, settings: EvaluationSettings, measure: Measure, plotted: str
) -> Section | None:
    """Return the results by sex, age, site and whatever column is asked for; None when no such column is there."""
    chosen = held_out.chosen_columns(settings)
    if not chosen:
        return None
    inside = np.flatnonzero(separated.headline_n)

    def measure_part(part_n: np.ndarray) -> Scores:
        mask_n = np.zeros(len(held_out.recordings), dtype=bool)
        mask_n[inside[part_n]] = True
        return measure(mask_n)

    found = by_group(
        measure_part,
        {name: values_n[inside] for name, values_n in chosen.items()},
        held_out.subject_n[inside],
        settings.smallest_group,
    )
    text = (
        "The same numbers for parts of the people. Small groups have wide intervals; groups of fewer than "
        f"{settings.smallest_group} people are named and not measured."
    )
    tables = tuple(_group_table(column, [group for group in found if group.column == column]) for column in chosen)
    entries = tuple((f"{group.column}: {group.label}", {plotted: group.estimates[plotted]}) for group in found if group.estimates)
    plot = (IntervalPlot("by_group_plot", f"{plotted} by group", plotted, entries),) if entries else ()
    return Section("Results by group", text, (*tables, *plot))


def _group_table(column: str, groups: list[GroupResult]) -> Table:
    metrics = list(dict.fromkeys(name for group in groups for name in group.estimates))
    told = any(group.reason for group in groups)
    rows = tuple(
        (
            group.label,
            group.subjects,
            group.recordings,
            *(group.estimates.get(name) for name in metrics),
            *((group.reason,) if told else ()),
        )
        for group in groups
    )
    unit = _UNITS.get(column, "")
    columns = (f"{column}{unit}", "people", "recordings", *metrics, *(("remark",) if told else ()))
    return Table(f"by_{column}", f"By {column}{unit}", columns, rows)


def seen_section(separated: Separated, measure: Measure) -> Section | None:
    """Return the results of recordings that the encoder saw in pretraining; None when there are none."""
    if not separated.seen_n.any():
        return None
    table = metric_table("seen_in_pretraining", "Seen in pretraining: not held out", measure(separated.seen_n))
    return Section(
        "Recordings that the encoder has seen",
        "These people stood in the encoder's pretraining split. Their numbers are shown for comparison only.",
        (table,),
    )


def comparison_section(cases: Mapping[str, Scores], plotted: str, reference: float | None = None) -> Section | None:
    """Return several systems on the same recordings, the evaluated model first; None when it is alone."""
    if len(cases) < 2:
        return None
    return Section(
        "Beside other systems",
        "All systems on the same recordings. Where n differs, a system gave no answer for some of them.",
        (
            case_table("systems", "Systems", "system", cases),
            case_plot("systems_plot", f"{plotted} by system", plotted, cases, reference),
        ),
    )


def sections(*parts: Section | None) -> tuple[Section, ...]:
    """Return the sections that are there."""
    return tuple(part for part in parts if part is not None)
