"""What a map can be coloured by: where a night was recorded, then who, how they slept, what a model says, any column.

A column has one value a study or one a row; either a group (site, sex, the stage most of a window was scored as) or a number.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.library.maps import MapGrain, StoredMap
from sleepfm.library.risks import present_rows, risks, scores
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, Stage

FEWEST_NUMBERS = 6
"""A column of numbers with fewer different ones is taken for codes of groups (1 and 2 for two arms of a study)."""
MISSING = -1
"""The code of a row whose group is not known."""
_GROUPS = (facts.SUBJECT, facts.SITE, facts.SEX)
_FIRST = (facts.SITE, facts.AGE, facts.SEX, "ahi")
_UNITS = {facts.AGE: "years", "ahi": "per hour", "bmi": "kg/m²", "odi": "per hour", "plmi": "per hour"}
_TITLES = {facts.SUBJECT: "Person", "ahi": "AHI", "bmi": "BMI", "odi": "ODI", "plmi": "PLMI"}
_FACT, _STAGE, _RISK, _ORIGIN = "fact", "stage", "risk", "origin"
_SCORE_NOTE = (
    "relative: it ranks nights, it is no probability and no diagnosis; a score for another age or sex than the tables state has"
    " no colour"
)
_LEFT_OUT_NOTE = "; without age and sex it ranks people of the same age and sex only"
SITE_COLUMN = f"{_FACT}:{facts.SITE}"
PERSON_COLUMN = f"{_FACT}:{facts.SUBJECT}"
_SHARES = {Stage.REM: "Share of REM", Stage.N3: "Share of N3", Stage.WAKE: "Share of Wake"}


@dataclass(frozen=True)
class Choice:
    """A column that can be asked for: its key, and what the screen calls it."""

    key: str
    title: str

    @property
    def is_score(self) -> bool:
        """Whether it is a model's score of a condition; there may be a thousand of them."""
        return self.key.startswith(f"{_RISK}:")


@dataclass(frozen=True, eq=False)
class MapColumn:
    """The values of a column on one map.

    Attributes
    ----------
    key, title, unit
        What it is; the unit is empty for groups and where nobody stated one.
    per_study
        Whether there is one value a study (in the order of the map's studies) or one a row.
    labels
        The groups, None for numbers.
    values_v
        Groups: int32 places in `labels`, `MISSING` where not known. Numbers: float32, NaN where not known.
    note
        What there is to know of it, a sentence or nothing.
    """

    key: str
    title: str
    unit: str
    per_study: bool
    labels: tuple[str, ...] | None
    values_v: np.ndarray
    note: str = ""

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change when a value does."""
        content = "\0".join(self.labels or ()).encode() + self.values_v.tobytes()
        return hashlib.sha256(content).hexdigest()[:16]

    def of_rows(self, stored: StoredMap) -> np.ndarray:
        """Return (row,) values."""
        return np.asarray(self.values_v[stored.study_n] if self.per_study else self.values_v)

    def groups(self, stored: StoredMap) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return (row,) codes of groups and their names; numbers go into fifths of the map's studies or rows."""
        if self.labels is not None:
            return self.of_rows(stored).astype(np.int64), self.labels
        known_v = self.values_v[np.isfinite(self.values_v)]
        if not known_v.size:
            return np.full(stored.n, MISSING), ()
        edges = np.unique(np.quantile(known_v, np.linspace(0, 1, 6)))
        inner = edges[1:-1]
        names = tuple(f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)) or (f"{edges[0]:.3g}",)
        value_n = self.of_rows(stored)
        return np.where(np.isfinite(value_n), np.searchsorted(inner, value_n, side="right"), MISSING), names


def choices(library: Library, stored: StoredMap) -> list[Choice]:
    """Return what the map can be coloured by, the site (or whatever says where a night is from) first."""
    names = facts.columns(library)
    folded = {name.lower(): name for name in reversed(names)}
    first = [folded[name] for name in _FIRST if name in folded]
    found = [Choice(f"{_FACT}:{name}", _title(name)) for name in first]
    if any(stored.scorings):
        if stored.spec.grain is MapGrain.WINDOW:
            found.append(Choice(_STAGE, "Stage"))
        found += [Choice(f"{_STAGE}:{stage.name}", title) for stage, title in _SHARES.items()]
    for head, table in sorted(_risk_table(library).items()):
        found += [Choice(f"{_RISK}:{head}:{code}", f"Score: {name} ({table.model})") for code, name in table.names.items()]
    found += [Choice(f"{_FACT}:{name}", _title(name)) for name in names if name not in first]
    found.append(Choice(_ORIGIN, "Fitted or placed"))
    if stored.spec.grain is MapGrain.NIGHT:
        found.append(Choice("windows", "Windows used"))
    return found


def column(library: Library, stored: StoredMap, key: str) -> MapColumn:
    """Return the values of a column.

    Raises
    ------
    RequestError
        When there is no such column.
    """
    kind, _, rest = key.partition(":")
    if kind == _FACT and rest in facts.columns(library):
        return _fact(library, stored, rest)
    if kind == _STAGE and not rest:
        majority_n = np.where(np.isfinite(stored.stage_n5[:, 0]), np.nan_to_num(stored.stage_n5).argmax(axis=1), MISSING)
        labels = tuple(STAGE_SHORT[stage] for stage in SCORED_STAGES)
        note = "the stage that most of the window's epochs were scored as"
        return MapColumn(key, "Stage", "", per_study=False, labels=labels, values_v=majority_n.astype(np.int32), note=note)
    if kind == _STAGE and rest in {stage.name for stage in _SHARES}:
        stage = Stage[rest]
        share_n = 100 * stored.stage_n5[:, SCORED_STAGES.index(stage)].astype(np.float32)
        return MapColumn(key, _SHARES[stage], "% of scored epochs", per_study=False, labels=None, values_v=share_n)
    if kind == _RISK:
        head, _, code = rest.partition(":")
        found = _risk_table(library).get(head)
        if found is not None and code in found.names:
            return _risk(stored, key, found, code)
    if key == _ORIGIN:
        labels = ("fitted", "placed")
        return MapColumn(key, "Fitted or placed", "", per_study=False, labels=labels, values_v=stored.placed_n.astype(np.int32))
    if key == "windows" and stored.spec.grain is MapGrain.NIGHT:
        values_n = stored.windows_n.astype(np.float32)
        return MapColumn(key, "Windows used", "5-min windows", per_study=False, labels=None, values_v=values_n)
    raise RequestError(f"the map has no column {printable(key[:80])!r} any more; choose another colour")


def _title(name: str) -> str:
    return _TITLES.get(name.lower(), name[:1].upper() + name[1:])


def _fact(library: Library, stored: StoredMap, name: str) -> MapColumn:
    texts = facts.column(library, name)
    of_study = [texts.get(study) for study in stored.studies]
    known = sorted({text for text in of_study if text is not None})
    numbers = None if name in _GROUPS else [_number(text) for text in known]
    unit = _UNITS.get(name.lower(), "")
    as_numbers = numbers is not None and None not in numbers and (name == facts.AGE or len(set(numbers)) >= FEWEST_NUMBERS)
    if as_numbers:
        values_s = np.array([math.nan if text is None else float(text) for text in of_study], np.float32)
        return MapColumn(
            f"{_FACT}:{name}", _title(name), unit or "as in the table", per_study=True, labels=None, values_v=values_s
        )
    place = {text: number for number, text in enumerate(known)}
    codes_s = np.array([MISSING if text is None else place[text] for text in of_study], np.int32)
    return MapColumn(f"{_FACT}:{name}", _title(name), "", per_study=True, labels=tuple(known), values_v=codes_s)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, eq=False)
class _Scores:
    """The newest log hazards of one head by study, and the place of each of its phecodes in them."""

    model: str
    names: dict[str, str]
    places: dict[str, int]
    scores: dict[str, np.ndarray]
    note: str


def _risk_table(library: Library) -> dict[str, _Scores]:
    """Return the stored scores by the first digits of their head's weights, read again when one came or went, or an age did."""
    stored = tuple((row["id"], row["created_at"]) for row in present_rows(library))
    stated = tuple(tuple(sorted(facts.column(library, name).items())) for name in (facts.AGE, facts.SEX))
    return _read_risks(library.home, hash((stored, stated)))


@lru_cache(maxsize=2)
def _read_risks(home: Home, _rows: int) -> dict[str, _Scores]:
    tables = {}
    with Library(home) as library:
        newest_of_head = {row["weights_sha256"]: row for row in reversed(present_rows(library))}
        for head in newest_of_head.values():
            newest = [one.result for one in risks(library, head["study"]) if one.result.weights_sha256 == head["weights_sha256"]]
            if not newest:
                continue
            # scores with age and sex in them and scores without are no one ranking: the map shows those of the newest's kind
            left_out = newest[0].demographics_left_out
            tables[head["weights_sha256"][:16]] = _Scores(
                model=head["model"],
                names={one.phecode: one.phenotype for one in newest[0].conditions},
                places={one.phecode: place for place, one in enumerate(newest[0].conditions)},
                scores=scores(library, head["weights_sha256"], demographics_left_out=left_out),
                note=_SCORE_NOTE + (_LEFT_OUT_NOTE if left_out else ""),
            )
    return tables


def _risk(stored: StoredMap, key: str, found: _Scores, code: str) -> MapColumn:
    place = found.places[code]
    values_s = np.array(
        [found.scores[study][place] if study in found.scores else math.nan for study in stored.studies], np.float32
    )
    title = f"Score: {found.names[code]}"
    return MapColumn(key, title, "log hazard", per_study=True, labels=None, values_v=values_s, note=found.note)
