"""A study as the list shows it: its row, with the newest scoring and the job that matters now."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sleepfm.models.card import SIMULATED
from sleepfm.runs.table import OPEN_STATES, JobState, seconds_left


class StudyStatus(StrEnum):
    """What a technician sees in the list."""

    NEW = "not staged"
    QUEUED = "waiting"
    WORKING = "working"
    STAGED = "staged"
    FAILED = "failed"
    MISSING = "file missing"
    CHANGED = "file changed"


@dataclass(frozen=True)
class Study:
    """One row of the list.

    Attributes
    ----------
    duration_s
        Length of the recording in seconds, gaps included.
    modalities
        Channels by modality, e.g. {"BAS": 6, "RESP": 5}.
    quality
        Fraction of channel-epochs without a flag (0 to 1); None until it was assessed.
    bad_channels
        Labels of the channels that are bad for most of the night.
    engine
        What made the scoring that counts (see `SCORINGS_IN_ORDER`), None when there is none.
    scored_by, review_state
        Whose review that is ("ada"; of a signed one who signed) and how far ("open", "reviewed", "signed"); None when it is no
        person's.
    simulated_model
        Whether that was a model that was trained on simulated signals.
    own_scoring
        What the newest scoring is called that came with the recording; None when there is none.
    message
        What is being done, or what went wrong.
    job, progress, seconds_left
        Of the running or waiting job of this study, None when there is none (or no pace to speak of yet).
    """

    id: str
    path: Path
    format: str
    start: datetime | None
    duration_s: float
    channels: int
    modalities: dict[str, int]
    problems: tuple[str, ...]
    simulated: bool
    montage: str
    sha256: str | None
    quality: float | None
    bad_channels: tuple[str, ...]
    added_at: datetime
    engine: str | None
    simulated_model: bool
    status: StudyStatus
    message: str
    scored_by: str | None = None
    review_state: str | None = None
    own_scoring: str | None = None
    job: str | None = None
    progress: float | None = None
    seconds_left: float | None = None


AUTOMATIC_ENGINES = ("yasa", "sleepfm")
"""The engines that are programs: every other scoring is a person's, or came with the recording."""

OWN_SCORING = "file"
"""The engine of a scoring that came with the recording: shown beside, never in place of, what an engine or a person made."""

PERSON = "person"
"""The engine of a review: a scoring whose stages stand in the table `reviews` and not in a file."""

PUT_AWAY = "put away: "
"""Stands before the hash of a review's recording while the review is put away (`library.review_away`)."""

SCORINGS_IN_ORDER = f"""
CASE
  WHEN r.engine = '{PERSON}' THEN (
    SELECT CASE v.state WHEN 'signed' THEN 0 WHEN 'reviewed' THEN 1
      ELSE iif(json_extract(r.provenance, '$.base') IS NULL, 6, 2) END
    FROM reviews v WHERE v.scoring = r.id)
  WHEN r.engine = '{OWN_SCORING}' THEN 5
  WHEN json_extract(r.provenance, '$.trained_on') IS '{SIMULATED}' THEN 4
  ELSE 3
END, r.id DESC"""
"""Which scoring speaks for a study. A person's review before what engines made: signed, reviewed, open; of one rank the newest.
Behind the other engines one by a model that was trained on simulated signals, which never speaks for a study that has another
scoring; then the one that came with the recording; last a review that was begun from nothing, until it is marked as reviewed."""

# a scoring counts only beside the bytes it was made from; of the jobs, the running one before the waiting before the last
STUDY_ROWS = f"""
SELECT s.*, e.engine AS engine, json_extract(e.provenance, '$.trained_on') IS '{SIMULATED}' AS simulated_model,
  coalesce(w.signed_by, w.scorer) AS scored_by, w.state AS review_state,
  (SELECT json_extract(o.provenance, '$.label') FROM scorings o
   WHERE o.study = s.id AND o.source_sha256 = s.sha256 AND o.engine = '{OWN_SCORING}' ORDER BY o.id DESC LIMIT 1) AS own_scoring,
  j.id AS job_id, j.state AS job_state, j.message AS job_message, j.error AS job_error, j.progress AS job_progress,
  j.started_at AS job_started_at
FROM studies s
LEFT JOIN scorings e ON e.id = (
  SELECT r.id FROM scorings r WHERE r.study = s.id AND r.source_sha256 = s.sha256 AND r.engine <> '{OWN_SCORING}'
  ORDER BY {SCORINGS_IN_ORDER} LIMIT 1)
LEFT JOIN reviews w ON w.scoring = e.id
LEFT JOIN jobs j ON j.rowid = (
  SELECT k.rowid FROM jobs k WHERE k.subject = s.id
  ORDER BY k.state = 'running' DESC, k.state = 'queued' DESC, k.created_at DESC LIMIT 1)
"""

ORDERS: dict[str, str] = {
    "Newest first": "s.added_at DESC, s.id",
    "Name": "s.id COLLATE NOCASE",
    "Recording date": "s.start IS NULL, s.start DESC, s.id",
    "Longest first": "s.duration_s DESC, s.id",
    "Worst quality first": "s.quality IS NULL, s.quality, s.id",
}
"""How the list can be sorted: the words on the screen and the SQL."""


def search_condition(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the WHERE clause and its values for studies whose id or path holds the text; nothing for an empty text."""
    if not text.strip():
        return "", ()
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return "WHERE (s.id LIKE ? ESCAPE '\\' OR s.path LIKE ? ESCAPE '\\')", (f"%{escaped}%", f"%{escaped}%")


def study_of(row: sqlite3.Row) -> Study:
    """Return the study that a row of `STUDY_ROWS` describes."""
    status, message = _status(row)
    return Study(
        id=row["id"],
        path=Path(row["path"]),
        format=row["format"],
        start=None if row["start"] is None else datetime.fromisoformat(row["start"]),
        duration_s=row["duration_s"],
        channels=row["channels"],
        modalities=json.loads(row["modalities"]),
        problems=tuple(json.loads(row["problems"])),
        simulated=bool(row["simulated"]),
        montage=row["montage"],
        sha256=row["sha256"],
        quality=row["quality"],
        bad_channels=tuple(json.loads(row["bad_channels"] or "[]")),
        added_at=datetime.fromisoformat(row["added_at"]),
        engine=row["engine"],
        simulated_model=bool(row["simulated_model"]),
        status=status,
        message=message,
        scored_by=row["scored_by"],
        review_state=row["review_state"],
        own_scoring=row["own_scoring"],
        job=row["job_id"] if row["job_state"] in OPEN_STATES else None,
        progress=row["job_progress"] if row["job_state"] in OPEN_STATES else None,
        seconds_left=None
        if row["job_state"] != JobState.RUNNING
        else seconds_left(row["job_progress"], datetime.fromisoformat(row["job_started_at"])),
    )


def _status(row: sqlite3.Row) -> tuple[StudyStatus, str]:
    try:
        stat = Path(row["path"]).stat()
    except OSError as error:
        return StudyStatus.MISSING, f"{row['path']}: {error.strerror}; put the file back or remove the study"
    if (stat.st_size, stat.st_mtime_ns) != (row["size"], row["mtime_ns"]):
        return StudyStatus.CHANGED, f"{row['path']} was changed since it was added; add it again to read it anew"
    if row["job_state"] == "running":
        return StudyStatus.WORKING, row["job_message"]
    if row["job_state"] == "queued":
        return StudyStatus.QUEUED, ""
    if row["job_state"] in ("failed", "crashed"):
        return StudyStatus.FAILED, row["job_error"] or ""
    return (StudyStatus.STAGED if row["engine"] else StudyStatus.NEW), ""
