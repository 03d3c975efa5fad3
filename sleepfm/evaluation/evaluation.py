"""One evaluation as data: what was tested, the numbers, tables and figures. The JSON and the page are two views of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sleepfm.analysis.curves import Curve
from sleepfm.analysis.estimates import Estimate


@dataclass(frozen=True)
class PValue:
    """A p-value in a table."""

    value: float


Cell = str | int | float | Estimate | PValue | None


@dataclass(frozen=True)
class Table:
    """Rows under columns.

    Attributes
    ----------
    key
        Name in the JSON.
    title, note
        For people; the note says how to read it.
    columns
        Headings, also the keys of each row in the JSON.
    rows
        Cells; None is "not there", an undefined `Estimate` says why.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the table with one object a row."""
        rows = [{name: _cell(cell) for name, cell in zip(self.columns, row, strict=True)} for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}


@dataclass(frozen=True)
class Line:
    """One curve of a plot; `faint` for what stands beside (chance, a baseline)."""

    name: str
    curve: Curve
    style: Literal["line", "steps", "points"] = "line"
    faint: bool = False


@dataclass(frozen=True)
class LinePlot:
    """Curves over an axis; axis labels give the unit.

    Attributes
    ----------
    diagonal
        Draw where x equals y: chance of a ROC, perfection of a calibration.
    x_range, y_range
        Limits of the axes; None fits the data.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    diagonal: bool = False
    x_range: tuple[float, float] | None = (0, 1)
    y_range: tuple[float, float] | None = (0, 1)
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the points."""
        lines = [{"name": line.name, **_curve(line.curve)} for line in self.lines]
        return {"title": self.title, "x": self.x_label, "y": self.y_label, "lines": lines, "note": self.note}


@dataclass(frozen=True)
class MatrixPlot:
    """Counts in rows and columns, shaded by their share of the row."""

    key: str
    title: str
    row_label: str
    column_label: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: np.ndarray
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the counts."""
        counts = np.asarray(self.counts).tolist()
        return {"title": self.title, "rows": list(self.rows), "columns": list(self.columns), "counts": counts, "note": self.note}


@dataclass(frozen=True)
class IntervalPlot:
    """Estimates with their intervals, a line an entry, one mark a series.

    Attributes
    ----------
    entries
        A label and, by series name, its estimate.
    reference
        Where to draw the line of chance or of no difference.
    """

    key: str
    title: str
    x_label: str
    entries: tuple[tuple[str, Mapping[str, Estimate]], ...]
    reference: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the estimates."""
        entries = [
            {"label": label, "estimates": {name: e.as_dict() for name, e in estimates.items()}}
            for label, estimates in self.entries
        ]
        return {"title": self.title, "x": self.x_label, "entries": entries, "note": self.note}


Figure = LinePlot | MatrixPlot | IntervalPlot


@dataclass(frozen=True)
class Section:
    """A part of the report: a sentence on what it shows, then its tables and figures in order."""

    title: str
    text: str
    parts: tuple[Table | Figure, ...]


@dataclass(frozen=True)
class Headline:
    """One number that stands for the evaluation.

    Attributes
    ----------
    name
        As it stands in model cards.
    estimate
        On recordings that the encoder has not seen.
    meaning
        A few words for people who do not know the metric.
    baseline, baseline_name
        The same number for what a model must beat, where there is such a thing.
    chance
        What guessing reaches, where that is one number.
    """

    name: str
    estimate: Estimate
    meaning: str
    baseline: Estimate | None = None
    baseline_name: str = ""
    chance: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return it with its interval."""
        return {
            "name": self.name,
            **self.estimate.as_dict(),
            "baseline": None if self.baseline is None else {"name": self.baseline_name, **self.baseline.as_dict()},
            "chance": self.chance,
        }


@dataclass(frozen=True)
class DataTested:
    """What the numbers rest on.

    Attributes
    ----------
    source
        The cohort and split.
    recordings, subjects
        That were measured for the headline.
    left_out
        Reason by recording.
    seen
        Recordings of people that the encoder saw in pretraining; None when that is not known.
    """

    source: str
    recordings: int
    subjects: int
    left_out: Mapping[str, str]
    seen: tuple[str, ...] | None

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "source": self.source,
            "recordings": self.recordings,
            "subjects": self.subjects,
            "left_out": dict(self.left_out),
            "seen_in_pretraining": None if self.seen is None else list(self.seen),
        }


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth.

    Attributes
    ----------
    task
        staging, breathing, disease, retrieval or probe.
    title, model
        For people.
    simulated
        Whether the signals are simulated: the first thing that the report says.
    data, settings
        What was tested and how.
    headline
        The numbers that go into the model card.
    sections
        Tables and figures.
    warnings
        What a reader must know before he believes the numbers, each a sentence.
    extra
        More keys of the JSON, those that other tools rely on.
    """

    task: str
    title: str
    model: str
    simulated: bool
    data: DataTested
    settings: Mapping[str, object]
    headline: tuple[Headline, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    def with_sections(self, *sections: Section) -> Evaluation:
        """Return the evaluation with more sections behind the others: experiments made with several models."""
        return replace(self, sections=(*self.sections, *sections))

    def as_dict(self) -> dict[str, object]:
        """Return everything for JSON, without NaN; tables and figures go by their keys.

        Raises
        ------
        ValueError
            When two parts have the same key.
        """
        parts = [part for section in self.sections for part in section.parts]
        keys = [part.key for part in parts]
        if doubled := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"several parts of the report are called {sorted(doubled)}")
        return {
            "task": self.task,
            "title": self.title,
            "model": self.model,
            "simulated": self.simulated,
            "use": "research only, no diagnosis",
            "data": self.data.as_dict(),
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
            "headline": [headline.as_dict() for headline in self.headline],
            **self.extra,
            "tables": {part.key: part.as_dict() for part in parts if isinstance(part, Table)},
            "figures": {part.key: part.as_dict() for part in parts if not isinstance(part, Table)},
        }


def _cell(cell: Cell) -> object:
    if isinstance(cell, Estimate):
        return cell.as_dict()
    if isinstance(cell, PValue):
        return cell.value
    return cell


def _curve(curve: Curve) -> dict[str, list[float] | None]:
    named = {"x": curve.x, "y": curve.y, "low": curve.low, "high": curve.high, "n": curve.n}
    return {name: np.asarray(values).tolist() for name, values in named.items() if values is not None}
