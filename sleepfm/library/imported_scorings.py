"""Scorings and events of a file that somebody adds to a study of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sleepfm.administration.audit import record
from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.event_sets import event_sets, remove_events, store_events
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.study import OWN_SCORING
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.formats import FORMAT_NAMES, ScoringFile, ScoringFormat, read_file, unusual
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

MOST_MB = 16
"""The largest files of a night have a few megabytes; recordings, which may hold annotations too, have hundreds."""


@dataclass(frozen=True)
class Imported:
    """The numbers of the scoring and of the set of events that were stored; None where the file held none."""

    scoring: int | None
    events: int | None


@dataclass(frozen=True)
class AddedFile:
    """A file that somebody added to a study.

    Attributes
    ----------
    name
        The file's.
    note
        Its format, and who added it.
    stored
        What it became.
    n_events
        How many events it holds.
    """

    name: str
    note: str
    stored: Imported
    n_events: int


def read_for_study(
    library: Library,
    identifier: str,
    file: Path,
    *,
    as_format: ScoringFormat | None = None,
    codes: Mapping[int, Stage] | None = None,
) -> ScoringFile:
    """Read a file laid over a study's recording; nothing is stored.

    Raises
    ------
    RequestError
        No such study or file, or one that is too large. Whether a path that was typed may be read is for the caller to ask.
    CodesNeededError
        Integers whose meaning nobody said; it has their counts.
    ScoringError, RecordingError
        What is wrong with the file, naming the line.
    """
    study = library.study(identifier)
    if file.is_file() and file.stat().st_size > MOST_MB << 20:
        raise RequestError(
            f"{file} is larger than {MOST_MB} MB: a recording perhaps, whose scoring `sleepfm convert-scoring` takes out"
        )
    read = read_file(file, as_format=as_format, duration_s=study.duration_s, start=study.start, codes=codes)
    if read.scoring is None and not read.events:
        raise ScoringError(f"{file}: holds neither stages nor events of this recording")
    return read


def was_imported(scoring: StoredScoring) -> bool:
    """Whether somebody added a scoring from a file: it can be taken away again."""
    return "file_sha256" in scoring.provenance


def remarks(read: ScoringFile) -> tuple[str, ...]:
    """Return what a person should know before the file is added: what was changed, and what is unusual in a night."""
    return read.warnings if read.scoring is None else (*read.warnings, *unusual(read.scoring))


def store_imported(library: Library, identifier: str, read: ScoringFile, *, file: Path, user: str) -> Imported:
    """Store what was read from a file as a scoring and a set of events of a study; the same file again replaces it.

    A scoring with probabilities is a program's: nothing is fine-tuned on it as if a person had scored.

    Raises
    ------
    RequestError
        When the study is still being looked through, so that nobody knows yet which bytes it has.
    """
    library.require_unchanged(identifier)
    sha256 = library.study(identifier).sha256
    if sha256 is None:
        raise RequestError(f"{identifier} is still being looked through: add the scoring when that is done")
    name = printable(file.name)[:120]
    by_program = read.scoring is not None and read.scoring.probabilities is not None
    provenance = {
        "engine": OWN_SCORING,
        "label": f"File {name}",
        "note": f"{FORMAT_NAMES[read.format]}, added by {user}" + (", a program's: it holds probabilities" if by_program else ""),
        "source_sha256": sha256,
        "file_sha256": fingerprint(file),
        "format": read.format,
        "by_program": by_program,
        "warnings": [*remarks(read)],
    }
    scoring = events = None
    if read.scoring is not None:
        scoring = library.store_scoring(identifier, read.scoring, engine=OWN_SCORING, model=name, provenance=provenance)
    if read.events:
        events = store_events(library, identifier, read.events, engine=OWN_SCORING, model=name, provenance=provenance)
    found = {"file": name, "format": read.format, "stages": scoring is not None, "events": len(read.events)}
    record(library.connection, user, "add scoring", identifier, found)
    return Imported(scoring, events)


def added_files(library: Library, identifier: str) -> list[AddedFile]:
    """Return the files that were added to a study, the newest first."""
    scorings = {one.model: one for one in library.scorings(identifier) if was_imported(one)}
    events = {one.model: one for one in event_sets(library, identifier) if "file_sha256" in one.provenance}
    found = []
    for name in dict.fromkeys((*scorings, *events)):
        scoring, event_set = scorings.get(name), events.get(name)
        either = scoring or event_set
        assert either is not None
        stored = Imported(scoring.id if scoring else None, event_set.id if event_set else None)
        found.append((either.created_at, AddedFile(name, either.note, stored, len(event_set.events) if event_set else 0)))
    return [added for _, added in sorted(found, key=lambda one: one[0], reverse=True)]


def remove_added(library: Library, identifier: str, added: AddedFile, *, user: str) -> None:
    """Take a file's stages and events away again; a review that was begun from them keeps what it has."""
    if added.stored.scoring is not None:
        library.remove_scoring(identifier, added.stored.scoring)
    if added.stored.events is not None:
        remove_events(library, identifier, added.stored.events)
    record(library.connection, user, "remove added scoring", identifier, {"file": added.name, "events": added.n_events})
