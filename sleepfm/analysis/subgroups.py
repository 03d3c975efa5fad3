"""The same metrics for parts of the people: by sex, by age, by site, by any column of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sleepfm.analysis.estimates import Estimate

SMALLEST_GROUP = 5
NOT_STATED = "not stated"
_TENTHS = 10
_QUARTERS = 4
_MOST_CATEGORIES = 50


@dataclass(frozen=True)
class GroupResult:
    """One part of the people.

    Attributes
    ----------
    column, label
        What divides them, and which part this is.
    recordings, subjects
        How many.
    estimates
        By metric; empty for a group that is too small to report.
    reason
        Why there are none.
    """

    column: str
    label: str
    recordings: int
    subjects: int
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    reason: str = ""


def divide(values_n: np.ndarray, parts: int | None = None) -> dict[str, np.ndarray]:
    """Divide rows by a column's value.

    Parameters
    ----------
    values_n
        (row,) numbers or texts; NaN, None and the empty text are "not stated".
    parts
        Numbers are put into so many groups of equal size, labelled by their lowest and highest value. None: numbers with more
        than 10 different values go into four groups, everything else is a group a value.

    Returns
    -------
    dict
        A (row,) mask for each label, in the order of the values, "not stated" last.
    """
    values_n = np.asarray(values_n)
    stated_n = np.array([not _missing(value) for value in values_n.tolist()], dtype=bool)
    numeric = np.issubdtype(values_n.dtype, np.number)
    if numeric and parts is None and np.unique(values_n[stated_n]).size > _TENTHS:
        parts = _QUARTERS
    if numeric and parts is not None:
        groups = _equal_parts(values_n.astype(np.float64), stated_n, parts)
    else:
        texts_n = np.array([_text(value) for value in values_n.tolist()], dtype=object)
        order = {_text(value): None for value in (np.unique(values_n[stated_n]) if numeric else sorted(set(texts_n[stated_n])))}
        groups = {label: (texts_n == label) & stated_n for label in order}
    if not stated_n.all():
        groups[NOT_STATED] = ~stated_n
    return groups


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or (isinstance(value, str) and not value.strip())


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).strip()


def _equal_parts(values_n: np.ndarray, stated_n: np.ndarray, parts: int) -> dict[str, np.ndarray]:
    if not stated_n.any():
        return {}
    limits = np.quantile(values_n[stated_n], np.arange(1, parts) / parts)
    part_n = np.searchsorted(limits, values_n, side="left")
    groups = {}
    for part in range(parts):
        inside_n = (part_n == part) & stated_n
        if inside_n.any():
            low, high = values_n[inside_n].min(), values_n[inside_n].max()
            groups[f"{low:g} to {high:g}" if high > low else f"{low:g}"] = inside_n
    return groups


def by_group(
    measure: Callable[[np.ndarray], Mapping[str, Estimate]],
    columns: Mapping[str, np.ndarray],
    subjects_n: np.ndarray,
    smallest: int = SMALLEST_GROUP,
) -> list[GroupResult]:
    """Measure every group of every column.

    Parameters
    ----------
    measure
        From a (recording,) mask to metrics of those recordings.
    columns
        (recording,) values by column name. A column called "age" is divided into tenths, fewer where a tenth would be too small.
    subjects_n
        (recording,) subjects.
    smallest
        A group of fewer subjects is named as too small and not measured: its numbers would say more about chance, and about the
        persons, than about the model.
    """
    subjects_n = np.asarray(subjects_n)
    found = []
    for column, values_n in columns.items():
        parts = max(1, min(_TENTHS, np.unique(subjects_n).size // max(1, smallest))) if column == "age" else None
        groups = divide(values_n, parts)
        for label, inside_n in list(groups.items())[:_MOST_CATEGORIES]:
            subjects = int(np.unique(subjects_n[inside_n]).size)
            if subjects < smallest:
                reason = f"too small to report: fewer than {smallest} subjects"
                found.append(GroupResult(column, label, int(inside_n.sum()), subjects, reason=reason))
            else:
                found.append(GroupResult(column, label, int(inside_n.sum()), subjects, measure(inside_n)))
        if len(groups) > _MOST_CATEGORIES:
            rest = np.any(list(groups.values())[_MOST_CATEGORIES:], axis=0)
            reason = f"not measured: {len(groups)} different values, only the first {_MOST_CATEGORIES} are"
            found.append(GroupResult(column, "all others", int(rest.sum()), int(np.unique(subjects_n[rest]).size), reason=reason))
    return found
