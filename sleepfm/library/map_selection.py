"""What was chosen on a map: described by a line, by groups or by a range, never by a list of rows; found again here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from sleepfm.analysis.lasso import inside
from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.facts import Person
from sleepfm.library.library import Library
from sleepfm.library.map_columns import column
from sleepfm.library.maps import StoredMap
from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.vocabulary import EPOCH_S

MOST_CORNERS = 2000


class Lasso(BaseModel):
    """Everything inside a closed line, in the map's own units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lasso"]
    polygon: Annotated[tuple[tuple[FiniteFloat, FiniteFloat], ...], Field(min_length=3, max_length=MOST_CORNERS)]


class Groups(BaseModel):
    """Everything of some groups of a column; None stands for the rows whose group is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["groups"]
    column: Annotated[str, Field(max_length=400)]
    labels: Annotated[tuple[str | None, ...], Field(min_length=1, max_length=10_000)]


class Range(BaseModel):
    """Everything from one number of a column to another, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["range"]
    column: Annotated[str, Field(max_length=400)]
    low: FiniteFloat
    high: FiniteFloat


Selection = Lasso | Groups | Range
_SELECTION: TypeAdapter[Selection] = TypeAdapter(Annotated[Selection, Field(discriminator="kind")])


def read_selection(description: Any) -> Selection:
    """Return what a browser said was chosen.

    Raises
    ------
    RequestError
        When it is no selection.
    """
    try:
        return _SELECTION.validate_python(description)
    except ValidationError as error:
        raise RequestError(f"the selection cannot be read ({error.errors()[0]['msg']}); select again") from None


def rows_of(library: Library, stored: StoredMap, selection: Selection) -> np.ndarray:
    """Return (row,) bool: which rows of the map are in a selection.

    Raises
    ------
    RequestError
        When its column is not there any more, or holds groups where numbers were asked for.
    """
    if isinstance(selection, Lasso):
        return inside(np.array(selection.polygon), stored.x_n, stored.y_n)
    values = column(library, stored, selection.column)
    value_n = values.of_rows(stored)
    if isinstance(selection, Range):
        if values.labels is not None:
            raise RequestError(f"{values.title} holds groups, not numbers; select the groups")
        # in single precision, as the values are: 55.61 as it was typed is the 55.61 of the table
        return np.asarray((value_n >= np.float32(selection.low)) & (value_n <= np.float32(selection.high)))
    if values.labels is None:
        return np.isnan(value_n) if None in selection.labels else np.zeros(stored.n, bool)
    place = {label: number for number, label in enumerate(values.labels)}
    wanted = [-1 if label is None else place[label] for label in selection.labels if label is None or label in place]
    return np.isin(value_n, wanted)


@dataclass(frozen=True)
class SelectedStudy:
    """A study of a selection.

    Attributes
    ----------
    selected, shown
        How many of its rows are selected, and how many are on the map.
    start_s
        Where the first selected window begins, in seconds of the night.
    """

    person: Person
    selected: int
    shown: int
    start_s: float

    @property
    def first_epoch(self) -> int:
        """The epoch (1-based) that the first selected row begins with."""
        return int(self.start_s // EPOCH_S) + 1


def studies_of(library: Library, stored: StoredMap, selected_n: np.ndarray) -> list[SelectedStudy]:
    """Return the studies that have a selected row: those with the largest share of theirs first, then in the map's order."""
    people = facts.people(library, stored.studies)
    selected_s = np.bincount(stored.study_n[selected_n], minlength=len(stored.studies))
    shown_s = np.bincount(stored.study_n, minlength=len(stored.studies))
    rows = np.flatnonzero(selected_n)
    first_s = np.full(len(stored.studies), stored.n)
    np.minimum.at(first_s, stored.study_n[rows], rows)
    order = sorted(np.flatnonzero(selected_s), key=lambda number: -selected_s[number] / shown_s[number])
    return [
        SelectedStudy(
            people[stored.studies[number]], int(selected_s[number]), int(shown_s[number]), stored.start_s(int(first_s[number]))
        )
        for number in order
        if stored.studies[number] in people
    ]


def selection_csv(studies: Sequence[SelectedStudy], unit: str) -> str:
    """Return the selected studies as a CSV in a cohort table's form, and how many rows (`unit`: windows, nights) of each."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("Study ID", "Subject ID", "site", "age", "sex", f"{unit} selected", f"{unit} on the map"))
    for one in studies:
        who = one.person
        age = "" if who.age is None else f"{who.age:.10g}"
        subject = who.subject if who.known_subject else ""
        said = map(spreadsheet_safe, (subject, who.site or "", age, who.sex or ""))  # a table brought them; import takes it away
        table.writerow((who.study, *said, one.selected, one.shown))
    return text.getvalue()
