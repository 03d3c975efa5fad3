"""Beginning a review: a person's scoring, from an engine's, from another person's or from nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sleepfm.administration.audit import record
from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_proposal import base_of, first_events, proposal_words, proposed_stages, whole_epochs
from sleepfm.library.review_store import add_to_log, durably, put_events
from sleepfm.library.study import AUTOMATIC_ENGINES, PERSON
from sleepfm.text import printable

_MOST_SCORER = 60


def begin(library: Library, study: str, *, scorer: str, user: str, base: int | None = None) -> int:
    """Begin a review and return its number; the one of this scorer that is there already is returned as it is.

    Its events are those of the review that it starts from, else of the newest set of events, else the recording's annotations.

    Parameters
    ----------
    scorer
        Whose scoring it is called: a person's name, or a second one such as "consensus".
    user
        Who begins it.
    base
        The scoring that it starts from; None for nothing (all epochs Unknown).

    Raises
    ------
    RequestError
        No such study or scoring, or no usable name.
    RecordingChangedError
        The study's file is missing or was changed.
    ScoringError
        The study has not been looked through yet.
    """
    name = scorer.strip()
    if not name or len(name) > _MOST_SCORER or printable(name) != name:
        raise RequestError(f"a scorer's name has 1 to {_MOST_SCORER} letters, not {printable(scorer)[:80]!r}")
    if name.casefold() in AUTOMATIC_ENGINES:
        raise RequestError(f"{name} is a program's name; score under a person's")
    library.require_unchanged(study)
    known = library.study(study)
    if known.sha256 is None:
        raise ScoringError(f"{study} is still being looked through; it can be scored in a moment")
    stored = _stored(library, study, base)
    epochs = whole_epochs(known.duration_s)
    proposed, probabilities = proposed_stages(library, stored, epochs)
    events, events_from, warnings = first_events(library, known, stored)
    about = None if stored is None else base_of(stored)
    note = f"begun from {proposal_words(about)}" if about else "begun from nothing"
    provenance = {
        "engine": PERSON,
        "label": name,
        "note": note,
        "source_sha256": known.sha256,
        "base": about,
        "events_from": events_from.as_json(),
        "warnings": [*((stored.provenance.get("warnings") or ()) if stored else ()), *warnings],
    }
    patch = Patch(events=tuple((identifier, None, event) for identifier, event in events.items()))
    now = datetime.now(UTC).isoformat()
    with durably(library.connection):
        there = library.connection.execute(
            "SELECT id FROM scorings WHERE study = ? AND engine = ? AND model = ? AND source_sha256 = ?",
            (study, PERSON, name, known.sha256),
        ).fetchone()
        if there is not None:
            return int(there["id"])
        cursor = library.connection.execute(
            "INSERT INTO scorings (study, engine, model, file, provenance, source_sha256, created_at)"
            " VALUES (?, ?, ?, '', ?, ?, ?)",
            (study, PERSON, name, json.dumps(provenance), known.sha256, now),
        )
        scoring = int(cursor.lastrowid or 0)
        library.connection.execute(
            "INSERT INTO reviews (scoring, study, scorer, stages, proposed, probabilities, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                scoring,
                study,
                name,
                proposed.tobytes(),
                proposed.tobytes(),
                None if probabilities is None else probabilities.tobytes(),
                now,
            ),
        )
        put_events(library.connection, scoring, events.items())
        version = add_to_log(library.connection, scoring, study, user=user, action="begin", patch=patch, note=note)
        library.connection.execute("UPDATE reviews SET version = ? WHERE scoring = ?", (version, scoring))
        record(library.connection, user, "begin review", study, {"scoring": scoring, "scorer": name, "from": note})
    return scoring


def _stored(library: Library, study: str, base: int | None) -> StoredScoring | None:
    if base is None:
        return None
    for stored in library.scorings(study):
        if stored.id == base:
            return stored
    raise RequestError(f"{study} has no scoring {base} any more; choose another to begin from")
