"""What the page of neighbours says, and how it reads a time: pure functions from answers to words."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from sleepfm.errors import RequestError
from sleepfm.library.facts import Person, age_band
from sleepfm.library.neighbours import Clip, NeighbourAnswer
from sleepfm.library.second_opinion import Opinion
from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, WINDOW_S

CSV_COLUMNS = (
    "rank", "study", "start_s", "stop_s", "modality", "similarity", "subject", "site", "age_band", "sex",
    "query", "query_modality", "encoder", "candidates",
)  # fmt: skip
_TIME = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})", re.ASCII)


def ordinal(number: int) -> str:
    """Return "1st", "2nd", "3rd", "4th", "11th", with thousands set apart."""
    teens = 11 <= number % 100 <= 13
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def elapsed(seconds: float) -> str:
    """Return seconds as "3:40:00" from the recording's start."""
    whole = int(seconds + 1e-6)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def time_of_night(start: datetime | None, seconds: float) -> str:
    """Return "02:10, 3:40:00 after the start", or only the latter when the recording has no date."""
    after = f"{elapsed(seconds)} after the start"
    return after if start is None else f"{start + timedelta(seconds=seconds):%H:%M}, {after}"


def read_time(text: str) -> float:
    """Read "3:40:00", "40:00" or "13200" as seconds from the recording's start.

    Raises
    ------
    RequestError
        When the text is no such time.
    """
    stripped = text.strip()
    if re.fullmatch(r"\d{1,7}(\.\d{1,9})?", stripped, re.ASCII):
        return float(stripped)
    match = _TIME.fullmatch(stripped)
    if match is None or int(match[2]) > 59 or int(match[3]) > 59:
        raise RequestError(f"{stripped[:20]!r} is no time: write hours:minutes:seconds from the start, or seconds")
    return 3600.0 * int(match[1] or 0) + 60.0 * int(match[2]) + int(match[3])


def window_of(seconds: float) -> float:
    """Return the first second of the 5-min window that a time lies in."""
    return float(seconds // WINDOW_S * WINDOW_S)


def person_words(person: Person) -> str:
    """Return what is known of whom a clip was recorded from: "age 40 to 49 · site A"."""
    age = "age unknown" if person.age is None else f"age {age_band(person.age)}"
    site = "site unknown" if person.site is None else f"site {printable(person.site)}"
    return f"{age} · {site}"


def found_words(answer: NeighbourAnswer) -> str:
    """Return what was searched, and where the query's own window came out: "its own EKG ranks 3rd of 2,310"."""
    query = answer.query
    whose = "all people's" if query.same_subject else "other people's"
    found = f"{len(answer.neighbours)} nearest of {answer.candidates:,} {query.target} clips in {whose} nights"
    rank = answer.true_partner_rank
    if rank is None:
        return found
    return f"{found}; its own {query.target} ranks {ordinal(rank)} of {answer.candidates + 1:,}"


def clip_words(clip: Clip) -> str:
    """Return a clip's name: "night-3 at 3:40:00"."""
    return f"{printable(clip.study)} at {elapsed(clip.start_s)}"


def neighbours_csv(answer: NeighbourAnswer) -> str:
    """Return the neighbours as a table in CSV, the best first; what nobody stated is empty."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    query = answer.query
    asked = "; ".join(f"{clip.study}@{clip.start_s:g}" for clip in query.clips)
    for rank, one in enumerate(answer.neighbours, start=1):
        person = one.person
        band = "" if person.age is None else age_band(person.age)
        table.writerow(
            [
                rank, one.study, f"{one.start_s:g}", f"{one.start_s + WINDOW_S:g}", query.target.value, f"{one.similarity:.6f}",
                spreadsheet_safe(person.subject) if person.known_subject else "", spreadsheet_safe(person.site or ""), band,
                spreadsheet_safe(person.sex or ""), spreadsheet_safe(asked), query.modality.value, query.encoder,
                answer.candidates,
            ]
        )  # fmt: skip
    return out.getvalue()


def opinion_words(opinion: Opinion, *, simulated: bool) -> str:
    """Return the second opinion as a line: "Neighbours: N2 31, N1 12, W 7 of 50 epochs of 23 other people, …".

    `simulated` says whether the nights are: then nobody staged them.
    """
    ranked = sorted(SCORED_STAGES, key=lambda stage: -opinion.counts.get(stage, 0))
    counts = ", ".join(f"{STAGE_SHORT[stage]} {opinion.counts[stage]}" for stage in ranked if opinion.counts.get(stage, 0))
    people = f"{opinion.people} other {'person' if opinion.people == 1 else 'people'}"
    how = "as staged in their simulated nights" if simulated else "as people staged them"
    return f"Neighbours: {counts} of {opinion.epochs} epochs of {people}, {how}"


def sentences(notes: Sequence[str]) -> str:
    """Return notes as one line, each with its full stop."""
    return " ".join(note if note.endswith((".", "!", "?")) else f"{note}." for note in notes)
