"""The risks that were computed for the library's studies: stored with what they were made from, and ranked among each other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.inference.risk_result import RiskResult, RiskSummary, read_scores, read_summary
from sleepfm.library.channel_corrections import CorrectionsByMontage
from sleepfm.library.facts import Person, people, person
from sleepfm.library.library import Library
from sleepfm.models.card import Sex
from sleepfm.runs.database import transaction


@dataclass(frozen=True, eq=False)
class StoredRisk:
    """A risk of a study.

    Attributes
    ----------
    result
        Read from its file.
    provenance
        What it was made from: at least `key` and `source_sha256`.
    """

    id: int
    study: str
    model: str
    age: float | None
    sex: Sex | None
    created_at: datetime
    result: RiskResult
    provenance: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where scores stand among the library's studies that have a risk by the same weights: 1 is the highest.

    Attributes
    ----------
    rank_k
        (condition,) int64.
    of
        Studies, this one among them.
    """

    rank_k: np.ndarray
    of: int


def risks(library: Library, study: str | None = None, model: str | None = None) -> list[StoredRisk]:
    """Return the stored risks, the newest first.

    One whose file was deleted is left out, and so are those made from other bytes than the study's file has now, or before
    users corrected its channels.

    Parameters
    ----------
    study, model
        Only of this study, of the model of this name.

    Raises
    ------
    SleepFMError
        When a stored file is damaged.
    """
    return [
        StoredRisk(
            id=row["id"],
            study=row["study"],
            model=row["model"],
            age=row["age"],
            sex=row["sex"],
            created_at=datetime.fromisoformat(row["created_at"]),
            result=RiskResult.load(_file(library, row)),
            provenance=json.loads(row["provenance"]),
        )
        for row in _rows(library, study=study, model=model)
    ]


def newest_summaries(library: Library, model: str, who: Mapping[str, Person]) -> tuple[dict[str, RiskSummary], set[str]]:
    """Return the newest scores, without their reasons, of each of these studies by the model of this name.

    Scores for another age or sex than the tables state of a person do not count: somebody asked what would be if. Quick for many
    people: a file is read once in a process.

    Parameters
    ----------
    who
        By study.

    Returns
    -------
    tuple
        The scores by study, and the studies that only have scores for another age or sex.
    """
    found: dict[str, RiskSummary] = {}
    other: set[str] = set()
    for row in _rows(library, model=model):
        one = who.get(row["study"])
        if one is None or one.study in found:
            continue
        if not told_as_stated(one, row["age"], row["sex"]):
            other.add(one.study)
        else:
            file = _file(library, row)
            found[one.study] = _summary(file, file.stat().st_mtime_ns)
    return found, other - found.keys()


def told_as_stated(person: Person, age: float | None, sex: Sex | None) -> bool:
    """Return whether a score was made for the age and sex that the tables state of a person, as far as they state them.

    Another one answers what would be if, and stands beside no score of anybody else.
    """
    return not (_differs(age, person.age) or _differs(sex, person.sex))


def _differs(told: object, stated: object) -> bool:
    return told is not None and stated is not None and told != stated


@lru_cache(maxsize=4096)
def _summary(file: Path, _mtime_ns: int) -> RiskSummary:
    """Read a summary once, and again should another file have come into its place."""
    return read_summary(file)


def scores(
    library: Library, weights_sha256: str, *, demographics_left_out: bool = False, simulated: bool | None = None
) -> dict[str, np.ndarray]:
    """Return the newest (condition,) log hazards of every study by these weights; a study without them is not in it.

    Scores for another age or sex than the tables state of a person do not count (`told_as_stated`). Quicker than `risks`: of
    every file only the scores are read, once in a process.

    Parameters
    ----------
    demographics_left_out
        Of the scores that leave age and sex out because nobody knows how the head takes them, or of the whole ones.
    simulated
        Only of simulated recordings, or only of real ones; None for both.
    """
    found: dict[str, np.ndarray] = {}
    rows = [row for row in _rows(library, weights_sha256=weights_sha256) if simulated in (None, bool(row["simulated"]))]
    who = people(library, {row["study"] for row in rows})
    for row in rows:
        if row["study"] not in found and told_as_stated(who[row["study"]], row["age"], row["sex"]):
            file = _file(library, row)
            score_k, left_out = _scores(file, file.stat().st_mtime_ns)
            if left_out == demographics_left_out:
                found[row["study"]] = score_k
    return found


@lru_cache(maxsize=4096)
def _scores(file: Path, _mtime_ns: int) -> tuple[np.ndarray, bool]:
    """Read scores once, and again should another file have come into its place."""
    return read_scores(file)


def ranks(library: Library, result: RiskResult) -> Ranks:
    """Return where a result's scores stand among the newest risk of every other study by the same weights.

    A real night stands among real ones only, a simulated one among simulated ones.

    Raises
    ------
    RequestError
        The result was made for another age or sex than the tables state of the person.
    """
    own = person(library, result.study)
    if not told_as_stated(own, result.age, result.sex):
        stated = ", ".join(
            words for words in ("" if own.age is None else f"{own.age:g} years", "" if own.sex is None else own.sex) if words
        )
        raise RequestError(f"this result was made for another age or sex than the tables state ({stated})")
    others = scores(
        library,
        result.weights_sha256,
        demographics_left_out=result.demographics_left_out,
        simulated=library.study(result.study).simulated,
    )
    others.pop(result.study, None)
    other_nk = np.array(list(others.values())).reshape(len(others), len(result.log_hazard_k))
    return Ranks(1 + (other_nk > result.log_hazard_k).sum(axis=0), 1 + len(others))


def store(library: Library, result: RiskResult, provenance: dict[str, Any]) -> int:
    """Store a risk and return its number; one by the same weights for the same age, sex and players is replaced.

    `provenance` holds at least `key`, `source_sha256`, the hash of the file that was assessed, and `corrections`, the
    `corrections_text` of its channels (none where it is not there).
    """
    provenance = provenance | {"players": list(result.players)}
    connection = library.connection
    with transaction(connection):
        old = connection.execute(
            "SELECT id, study, file FROM risks WHERE study = ? AND weights_sha256 = ? AND age IS ? AND sex IS ?"
            " AND json_extract(provenance, '$.players') = ?",
            (result.study, result.weights_sha256, result.age, result.sex, _json(provenance["players"])),
        ).fetchall()
        number = int(
            connection.execute(
                "INSERT INTO risks (study, model, weights_sha256, age, sex, file, provenance, source_sha256, created_at)"
                " VALUES (?, ?, ?, ?, ?, '', ?, ?, ?)",
                (
                    result.study,
                    result.model,
                    result.weights_sha256,
                    result.age,
                    result.sex,
                    _json(provenance),
                    provenance["source_sha256"],
                    datetime.now(UTC).isoformat(),
                ),
            ).lastrowid
            or 0
        )
        connection.execute("UPDATE risks SET file = ? WHERE id = ?", (f"{number}.npz", number))
        result.save(_folder(library, result.study) / f"{number}.npz")
        connection.executemany("DELETE FROM risks WHERE id = ?", [(row["id"],) for row in old])
    for row in old:
        _file(library, row).unlink(missing_ok=True)
    return number


def remove(library: Library, number: int) -> None:
    """Forget a stored risk; nothing happens when it is gone already."""
    gone = library.connection.execute("DELETE FROM risks WHERE id = ? RETURNING study, file", (number,)).fetchall()
    for row in gone:
        _file(library, row).unlink(missing_ok=True)


def present_rows(library: Library, **wanted: str | None) -> list[sqlite3.Row]:
    """Return the rows that speak of the studies' present files with their present corrections, the newest first.

    Whether their files are there is not looked at.
    """
    chosen = {name: value for name, value in wanted.items() if value is not None}
    conditions = "".join(f" AND r.{name} = ?" for name in chosen)
    right = CorrectionsByMontage(library)
    rows = library.connection.execute(
        "SELECT r.*, s.montage AS montage, s.simulated AS simulated,"
        " COALESCE(json_extract(r.provenance, '$.corrections'), '') AS corrections FROM risks r"
        f" JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256 WHERE 1{conditions} ORDER BY r.id DESC",
        tuple(chosen.values()),
    )
    return [row for row in rows if row["corrections"] == right.of(row["montage"])]


def _rows(library: Library, **wanted: str | None) -> list[sqlite3.Row]:
    """Return the present rows that have their files, the newest first."""
    return [row for row in present_rows(library, **wanted) if _file(library, row).is_file()]


def _folder(library: Library, study: str) -> Path:
    return library.study_folder(study) / "risks"


def _file(library: Library, row: sqlite3.Row) -> Path:
    return _folder(library, row["study"]) / str(row["file"])


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
