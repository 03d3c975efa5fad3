"""Where the reports of a study are kept, and whether they still say what is known of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sleepfm
from sleepfm.errors import RequestError
from sleepfm.files import atomic_path
from sleepfm.library.facts import person
from sleepfm.library.library import Library
from sleepfm.library.vitals import vitals_file

_SUFFIXES = ("html", "pdf", "json")


@dataclass(frozen=True)
class StoredReport:
    """A report of one scoring.

    Attributes
    ----------
    html, pdf
        The files.
    name
        What the report calls the study: its id, or a code where that names the person.
    made_at
        When it was made (UTC).
    stamp
        What it was made from (`report_stamp`).
    identified, person, paper
        What was asked for.
    """

    html: Path
    pdf: Path
    name: str
    made_at: datetime
    stamp: str
    identified: bool
    person: bool
    paper: str


def store_report(
    library: Library,
    study: str,
    scoring: int,
    *,
    html: str,
    pdf: bytes,
    name: str,
    made_at: datetime,
    stamp: str,
    identified: bool,
    person: bool,
    paper: str,
) -> StoredReport:
    """Keep the report of a scoring in place of an older one.

    Raises
    ------
    SleepFMError
        When the disk is full or the folder cannot be written.
    """
    page, paged, about = _files(library, study, scoring)
    about.unlink(missing_ok=True)  # until all is written there is no report
    with atomic_path(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    with atomic_path(paged) as temporary:
        temporary.write_bytes(pdf)
    stored = StoredReport(page, paged, name, made_at, stamp, identified, person, paper)
    said = {key: value for key, value in asdict(stored).items() if key not in ("html", "pdf")} | {"made_at": made_at.isoformat()}
    with atomic_path(about) as temporary:
        temporary.write_text(json.dumps(said), encoding="utf-8")
    return stored


def stored_report(library: Library, study: str, scoring: int) -> StoredReport | None:
    """Return the report of a scoring, None when there is none; RequestError when there is no such study."""
    library.study(study)
    page, paged, about = _files(library, study, scoring)
    if not (page.is_file() and paged.is_file()):
        return None
    try:
        said = json.loads(about.read_text("utf-8"))
        return StoredReport(html=page, pdf=paged, **(said | {"made_at": datetime.fromisoformat(said["made_at"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # half deleted by hand, or of another version: it is made again


def report_stamp(library: Library, study: str, scoring: int) -> str:
    """Return a text that changes when anything does that a report of this scoring says.

    Raises
    ------
    RequestError
        When there is no such study or scoring.
    """
    row = library.connection.execute(
        "SELECT r.id, r.created_at, r.source_sha256, w.version, w.state, w.signed_sha256,"
        " (SELECT max(e.id) FROM event_sets e WHERE e.study = r.study) AS events"
        " FROM scorings r LEFT JOIN reviews w ON w.scoring = r.id WHERE r.study = ? AND r.id = ?",
        (study, scoring),
    ).fetchone()
    if row is None:
        raise RequestError(f"{study}: has no scoring {scoring} any more; choose another")
    files = [library.quality_file(study), vitals_file(library, study), *library.spectrograms(study).values()]
    known = person(library, study)
    seen = (
        tuple(row),
        library.recording_version(study),
        sorted((file.name, file.stat().st_mtime_ns) for file in files if file.is_file()),
        known.age,
        known.sex,
        sleepfm.__version__,
    )
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _files(library: Library, study: str, scoring: int) -> tuple[Path, Path, Path]:
    folder = library.study_folder(study)
    page, paged, about = (folder / f"report-{scoring:d}.{suffix}" for suffix in _SUFFIXES)
    return page, paged, about
