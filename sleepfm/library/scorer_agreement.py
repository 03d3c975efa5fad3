"""Scorer against scorer, or against an engine: of one study, and over all studies that both have scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sleepfm.analysis.batch_agreement import BatchAgreement, NightPair, NightResult, Scored, compare_night, summarise
from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.home import Home
from sleepfm.library import facts
from sleepfm.library.event_sets import StoredEvents, event_sets
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.reviews import document
from sleepfm.library.study import OWN_SCORING, PERSON
from sleepfm.recording.scorings.scoring import Event

MOST_STUDIES = 1000
"""A thousand nights take about half a minute; a larger archive is compared with `sleepfm agree` over folders."""


@dataclass(frozen=True)
class Scorer:
    """Somebody or something that scored studies of the library.

    Attributes
    ----------
    key
        Tells it from others over all studies.
    label
        For people.
    studies
        How many it scored.
    """

    key: str
    label: str
    studies: int


@dataclass(frozen=True)
class ScoredNight:
    """A scoring of a study with the events that go with it, and where those are from (empty: there are none)."""

    stored: StoredScoring
    events: tuple[Event, ...] | None
    events_from: str


def scorer_key(engine: str, model: str) -> str:
    """Return what tells scorers apart: people by name, engines by model, and whatever came with the recordings as one."""
    return OWN_SCORING if engine == OWN_SCORING else f"{engine} {model}"


def scorers(library: Library) -> list[Scorer]:
    """Return who scored studies, people first, then who scored the most."""
    rows = library.connection.execute(
        "SELECT r.engine, r.model, json_extract(r.provenance, '$.label') AS label, COUNT(DISTINCT r.study) AS studies"
        " FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
        " GROUP BY CASE r.engine WHEN ? THEN ? ELSE r.engine || ' ' || r.model END",
        (OWN_SCORING, OWN_SCORING),
    ).fetchall()
    labels = ["Scoring that came with the recording" if row["engine"] == OWN_SCORING else row["label"] for row in rows]
    found = [
        (
            row["engine"] != PERSON,
            Scorer(
                scorer_key(row["engine"], row["model"]),
                f"{label}, {row['model']}" if labels.count(label) > 1 else label,  # two versions of one engine
                row["studies"],
            ),
        )
        for row, label in zip(rows, labels, strict=True)
    ]
    return [one for _, one in sorted(found, key=lambda each: (each[0], -each[1].studies, each[1].label.casefold()))]


def scored_night(library: Library, study: str, stored: StoredScoring, sets: Sequence[StoredEvents] | None = None) -> ScoredNight:
    """Return a scoring with its events: a review's own; of an engine's those that were scored on its stages, else the newest set.

    Parameters
    ----------
    sets
        The study's sets of events, when they have been read already.
    """
    if stored.by_person:
        return ScoredNight(stored, tuple(document(library, stored.id).events.values()), f"the review of {stored.label}")
    sets = event_sets(library, study) if sets is None else sets
    came_along = [one for one in sets if one.engine == OWN_SCORING]
    made = [one for one in sets if one.engine != OWN_SCORING]
    linked = [one for one in made if one.provenance.get("scoring") == stored.id]
    chosen = next(iter(came_along if stored.engine == OWN_SCORING else [*linked, *made]), None)
    return ScoredNight(stored, None, "") if chosen is None else ScoredNight(stored, chosen.events, chosen.label)


def night_pair(study: str, subject: str, a: ScoredNight, b: ScoredNight) -> NightPair:
    """Return two scored nights as they are compared."""
    sides = [Scored(one.stored.scoring.stages, one.events) for one in (a, b)]
    return NightPair(study, subject, sides[0], sides[1])


def begun_from(a: StoredScoring, b: StoredScoring) -> str:
    """Return a sentence where one of two scorings was begun from the other, so that they are not independent; else nothing."""
    for one, other in ((a, b), (b, a)):
        base = one.provenance.get("base") or {}
        if one.by_person and (base.get("engine"), base.get("model")) == (other.engine, other.model):
            return (
                f"{one.label} began from {other.label}: epochs that nobody changed agree by that, so this is higher than between"
                " two who scored apart."
            )
    return ""


def library_agreement(home: Home, key_a: str, key_b: str) -> BatchAgreement:
    """Compare two scorers over all studies of the library that both have scored.

    Raises
    ------
    RequestError
        They are one and the same.
    ScoringError
        No study is scored by both.
    """
    if key_a == key_b:
        raise RequestError("choose two different scorers")
    nights: list[NightResult] = []
    failed: dict[str, str] = {}
    said: dict[str, int] = {}
    left_out = 0
    with Library(home) as library:
        shared = _shared(library, key_a, key_b)
        people = facts.people(library, shared[:MOST_STUDIES])
        left_out = max(0, len(shared) - MOST_STUDIES)
        for study in shared[:MOST_STUDIES]:
            try:
                stored = library.scorings(study)
                pair = [next((one for one in stored if scorer_key(one.engine, one.model) == key), None) for key in (key_a, key_b)]
                if pair[0] is None or pair[1] is None:
                    continue
                sets = event_sets(library, study)
                scored = [scored_night(library, study, one, sets) for one in (pair[0], pair[1])]
                nights.append(compare_night(night_pair(study, people[study].subject, scored[0], scored[1])))
                note = begun_from(pair[0], pair[1])
                said[note] = said.get(note, 0) + 1
            except SleepFMError as error:
                failed[study] = str(error)
        unnamed = sum(not people[night.night].known_subject for night in nights)
    if not nights and not failed:
        raise ScoringError("no study is scored by both")
    found = summarise(nights, failed=failed)
    remarks = [*found.remarks, *(f"{note} ({count} nights)" for note, count in said.items() if note)]
    if unnamed and len(nights) > 1:
        remarks.append(f"Of {unnamed} nights nobody stated whose they are: each counts as a person of its own.")
    if left_out:
        remarks.append(f"The newest {MOST_STUDIES} studies were compared; {left_out} more are left out.")
    return replace(found, remarks=tuple(remarks))


def _shared(library: Library, key_a: str, key_b: str) -> list[str]:
    """Return the studies that both have scored, the newest first."""
    of_key = [_studies_of(library, key) for key in (key_a, key_b)]
    rows = library.connection.execute("SELECT id FROM studies ORDER BY added_at DESC, id")
    return [row["id"] for row in rows if row["id"] in of_key[0] and row["id"] in of_key[1]]


def _studies_of(library: Library, key: str) -> set[str]:
    rows = library.connection.execute(
        "SELECT DISTINCT r.study FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
        " WHERE CASE r.engine WHEN ? THEN ? ELSE r.engine || ' ' || r.model END = ?",
        (OWN_SCORING, OWN_SCORING, key),
    )
    return {row["study"] for row in rows}
