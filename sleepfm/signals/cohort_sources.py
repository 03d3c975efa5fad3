"""How a cohort lies on disk, in words a file can hold: where its recordings and scorings are, and its table of people.

The descriptions of MESA, MrOS, SHHS and CinC 2018 ship in `sleepfm/configs/sources`; read one with
`sleepfm.training.config_files.read_settings(CohortSource, "sources/mesa")`.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

PLACEHOLDERS = ("subject", "visit", "study")
"""What a recording's path can tell: who, which visit, and (where it is not both together) which study."""
_IN_BRACES = re.compile(r"\{([^{}]*)\}")


def _path_pattern(pattern: str) -> str:
    """Check a path below the cohort's folder with placeholders in braces."""
    _template(_relative(pattern))
    if re.search(r"[*?\[\]]", pattern):
        raise ValueError(f"{pattern!r}: a part that changes is written as a placeholder, not as *, ? or [ ]")
    return pattern


def _template(text: str) -> str:
    """Check a text with placeholders in braces."""
    unknown = [name for name in _IN_BRACES.findall(text) if name not in PLACEHOLDERS]
    if unknown:
        raise ValueError(f"{{{unknown[0]}}} is no placeholder; use {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}")
    if re.search(r"[{}]", _IN_BRACES.sub("", text)):
        raise ValueError(f"{text!r}: a brace without its partner")
    return text


def _relative(pattern: str) -> str:
    path = PurePosixPath(pattern)
    if not pattern or path.is_absolute() or ".." in path.parts or "\\" in pattern or ":" in pattern:
        raise ValueError(f"{pattern!r}: give a path below the cohort's folder, with / between its parts")
    return pattern


PathPattern = Annotated[str, AfterValidator(_path_pattern)]


class _Described(BaseModel):
    """A part of a description: unknown keys are refused, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CodedColumn(_Described):
    """A column whose cells are codes, and what each code means; a cell with another code counts as empty."""

    column: str
    codes: dict[str, str] = Field(min_length=1)


class PeopleTable(_Described):
    """A table of people.

    Attributes
    ----------
    file
        CSV below the cohort's folder; * stands for a release's number, and of several releases the highest is read.
    visit
        The table is about this visit only.
    matches
        Placeholder of the recordings' paths → the column that holds the same; compared without case and leading zeros.
    columns
        What is known of a person → the column. `age` is in years; `sex` must come out as female or male; `subject` and `site`
        take the place of what the path and the description say. Any other name is kept as it is.
    """

    file: Annotated[str, AfterValidator(_relative)]
    visit: str = ""
    matches: dict[str, str] = Field(min_length=1)
    columns: dict[str, str | CodedColumn] = Field(min_length=1)


class CohortSource(_Described):
    """A cohort's folder tree.

    Attributes
    ----------
    name
        Short name of the cohort.
    site
        Where it was recorded, for results by site.
    recordings
        Paths of the recordings. `{subject}`, `{visit}` and `{study}` stand for what changes; a placeholder that comes twice is
        the same text twice. Where a study is there in several forms, the first path wins.
    scoring, events
        Path of a recording's scoring and events, with the placeholders of its own path.
    subject
        What a subject is called, so that the subjects of two cohorts are never taken for one another.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    site: str
    recordings: tuple[PathPattern, ...] = Field(min_length=1)
    scoring: PathPattern
    events: PathPattern | None = None
    subject: Annotated[str, AfterValidator(_template)]
    people: tuple[PeopleTable, ...] = ()

    @model_validator(mode="after")
    def _placeholders_are_known_everywhere(self) -> Self:
        known = set(_IN_BRACES.findall(self.recordings[0]))
        if not known & {"subject", "study"}:
            raise ValueError("recordings: a path needs {subject} or {study}")
        if any(set(_IN_BRACES.findall(pattern)) != known for pattern in self.recordings):
            raise ValueError("recordings: all paths need the same placeholders")
        used = [self.scoring, self.events or "", self.subject, *(f"{{{key}}}" for table in self.people for key in table.matches)]
        for text in used:
            missing = set(_IN_BRACES.findall(text)) - known
            if missing:
                raise ValueError(f"{{{missing.pop()}}} is no placeholder of the recordings' paths")
        return self
