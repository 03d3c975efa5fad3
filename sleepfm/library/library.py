"""Studies and what is known of them: the one place the app and the jobs look things up and store them."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sleepfm.administration.home_files import portable
from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.errors import RecordingChangedError, RecordingError, RequestError
from sleepfm.home import Home, open_home
from sleepfm.library.study import (
    ORDERS,
    PERSON,
    PUT_AWAY,
    SCORINGS_IN_ORDER,
    STUDY_ROWS,
    Study,
    StudyStatus,
    search_condition,
    study_of,
)
from sleepfm.models.card import SIMULATED
from sleepfm.recording.derivations import apply_corrections, montage_signature
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.formats import read_scoring, write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.database import connect, transaction
from sleepfm.runs.table import JobTable
from sleepfm.signals.study_ids import study_id
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES, Kind


@dataclass(frozen=True)
class StoredScoring:
    """A scoring of the library with where it came from.

    Attributes
    ----------
    label
        Who scored, in a word or two.
    note
        Engine, weights and version in one line, for small print.
    """

    id: int
    scoring: Scoring
    engine: str
    model: str
    label: str
    note: str
    created_at: datetime
    provenance: dict[str, Any]

    @property
    def by_person(self) -> bool:
        """Whether it is a review."""
        return self.engine == PERSON

    def as_stated(self) -> Scoring:
        """Return what its scorer says, for files and labels: a person states stages and no probabilities."""
        return replace(self.scoring, probabilities=None) if self.by_person else self.scoring

    @property
    def simulated_model(self) -> bool:
        """Whether it was made by a model that was trained on simulated signals."""
        return bool(self.provenance.get("trained_on") == SIMULATED)


class Library:
    """An open library. Cheap to open; one for each thread or request."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._connection = connect(home.database)
        self.jobs = JobTable(home, self._connection)

    @classmethod
    def open(cls, root: Path | str | None = None) -> Self:
        """Open the library of a home folder (default `$SLEEPFM_HOME`), made when it is not there."""
        return cls(open_home(root))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database connection."""
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The open database, for the rooms that keep tables of their own in it (see `runs.database.transaction`)."""
        return self._connection

    # studies

    def add(self, path: Path | str) -> Study:
        """Add one recording by its path; nothing is copied, only the header is read.

        Adding the same path again returns the study that is there, its header read anew.

        Raises
        ------
        RequestError
            When the path does not exist, is a folder, or is outside the folders that the app may read.
        RecordingError
            When the file cannot be read as a recording.
        """
        file = Path(path).expanduser().absolute()
        with closing(self._open(file)) as recording:
            values = _header_values(self._corrected(recording))
        stat = file.stat()
        values |= {"path": str(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        with transaction(self._connection):
            row = self._connection.execute("SELECT id, size, mtime_ns FROM studies WHERE path = ?", (str(file),)).fetchone()
            if row is None:
                identifier = study_id(file, self._ids_like(file))
                values |= {"id": identifier, "added_at": datetime.now(UTC).isoformat()}
                columns = ", ".join(values)
                self._connection.execute(
                    f"INSERT INTO studies ({columns}) VALUES ({', '.join(':' + name for name in values)})", values
                )
            else:
                identifier = row["id"]
                if (row["size"], row["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
                    # perhaps another content under the old name: nothing known of the old one is shown until the new one's
                    # hash is there, and then only what was made from the same bytes
                    values |= {"sha256": None, "quality": None, "bad_channels": None}
                    self.quality_file(identifier).unlink(missing_ok=True)
                    (self.study_folder(identifier) / "vitals.npz").unlink(missing_ok=True)
                    for file in self.spectrograms(identifier).values():
                        file.unlink(missing_ok=True)
                assignments = ", ".join(f"{name} = :{name}" for name in values)
                self._connection.execute(f"UPDATE studies SET {assignments} WHERE id = :id", {**values, "id": identifier})
        return self.study(identifier)

    def _ids_like(self, file: Path) -> set[str]:
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", file.stem)
        rows = self._connection.execute("SELECT id FROM studies WHERE substr(id, 1, ?) = ?", (len(stem), stem))
        return {row["id"] for row in rows}

    def study(self, identifier: str) -> Study:
        """Return one study.

        Raises
        ------
        RequestError
            When there is none with this id.
        """
        row = self._connection.execute(f"{STUDY_ROWS} WHERE s.id = ?", (identifier,)).fetchone()
        if row is None:
            raise RequestError(f"no study {identifier!r} in the library; add its file on the Studies page")
        return study_of(row)

    def studies(self, *, search: str = "", order: str = "Newest first", limit: int = 50, offset: int = 0) -> list[Study]:
        """Return one page of the list; `search` matches the id and the path, anywhere, ignoring case."""
        where, values = search_condition(search)
        rows = self._connection.execute(
            f"{STUDY_ROWS} {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?", (*values, limit, offset)
        )
        return [study_of(row) for row in rows]

    def count(self, search: str = "") -> int:
        """Return how many studies match."""
        where, values = search_condition(search)
        return int(self._connection.execute(f"SELECT COUNT(*) FROM studies s {where}", values).fetchone()[0])

    def remove(self, identifier: str) -> None:
        """Forget a study and what was derived from it; the recording itself is not touched.

        Raises
        ------
        RequestError
            When somebody has edited a scoring of it.
        """
        self.study(identifier)
        with transaction(self._connection):
            # what was put away is nobody's scoring any more; its log stays
            self._require_no_edits(f"study = ? AND substr(r.source_sha256, 1, {len(PUT_AWAY)}) <> '{PUT_AWAY}'", identifier)
            self._connection.execute("DELETE FROM studies WHERE id = ?", (identifier,))

    def study_folder(self, identifier: str) -> Path:
        """Return the folder of what was derived from a study, made if it is not there.

        Raises
        ------
        RequestError
            When the id is more or less than one name: it would lead elsewhere.
        """
        if not portable(identifier) or "/" in identifier:
            raise RequestError(f"{printable(identifier[:80])!r} is no id of a study")
        folder = self.home.studies / identifier
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def recording(self, identifier: str, *, mapped: bool = False) -> Recording:
        """Open a study's recording with the user's channel corrections applied.

        `mapped` maps the file into memory: for worker processes only (a mapped file that shrinks kills its process).

        Raises
        ------
        RequestError
            When the file is outside the folders that the app may read (they were narrowed, or it became a link), or is away.
        """
        study = self.study(identifier)
        if study.status is StudyStatus.MISSING:
            raise RequestError(study.message)
        return self._corrected(self._open(study.path, mapped=mapped))

    def _open(self, path: Path, *, mapped: bool = False) -> Recording:
        """Open a recording where its path leads now; every file of it that was opened lies in the folders of the app."""
        real = require_readable_here(self.home, path)
        # by its suffix and name a recording is known, and the other files of a record are found
        file = real if real.name == path.name else path
        return open_recording(file, mapped=mapped, allowed=partial(require_readable_here, self.home))

    def _corrected(self, recording: Recording) -> Recording:
        corrections = self.corrections(recording)
        return apply_corrections(recording, corrections) if corrections else recording

    def recording_version(self, identifier: str) -> object:
        """Return a value that changes when the file or what users corrected of it changes.

        Raises
        ------
        RequestError
            When the file is outside the folders that the app may read: what is open of it is not to be used any more.
        """
        study = self.study(identifier)
        require_readable_here(self.home, study.path)
        rows = self._connection.execute(
            "SELECT channel, kind FROM corrections WHERE montage = ? ORDER BY channel", (study.montage,)
        )
        try:
            stat = study.path.stat()
        except OSError:
            return None
        return (str(study.path), stat.st_size, stat.st_mtime_ns, tuple((row["channel"], row["kind"]) for row in rows))

    def spectrograms(self, identifier: str) -> dict[str, Path]:
        """Return the stored spectrograms of a study: key of the trace ("3", "3-5") → file; RequestError as `study`."""
        self.study(identifier)
        files = self.study_folder(identifier).glob("spectrogram-*.npz")
        return {file.name.removeprefix("spectrogram-").removesuffix(".npz"): file for file in files}

    def spectrogram_file(self, identifier: str, trace: str) -> Path:
        """Return where the spectrogram of a trace is kept."""
        return self.study_folder(identifier) / f"spectrogram-{trace}.npz"

    def envelope_file(self, identifier: str) -> Path:
        """Return where the envelopes of a study are kept."""
        return self.study_folder(identifier) / "envelopes.bin"

    def require_unchanged(self, identifier: str) -> None:
        """Raise RecordingChangedError when a study's file is not the one that was added: results would be of another night."""
        study = self.study(identifier)
        if study.status in (StudyStatus.MISSING, StudyStatus.CHANGED):
            raise RecordingChangedError(study.message)

    def store_hash(self, identifier: str, sha256: str) -> None:
        """Store the hash of a study's file; scorings made from other bytes are not shown any more."""
        self._connection.execute("UPDATE studies SET sha256 = ? WHERE id = ?", (sha256, identifier))

    def store_quality(self, identifier: str, *, quality: float, bad_channels: list[str]) -> None:
        """Store what the preparation found out about a study's signals."""
        self._connection.execute(
            "UPDATE studies SET quality = ?, bad_channels = ? WHERE id = ?", (quality, json.dumps(bad_channels), identifier)
        )

    def quality(self, identifier: str) -> QualityReport | None:
        """Return the stored quality report, None until the study was prepared."""
        file = self.quality_file(identifier)
        return QualityReport.load(file) if file.is_file() else None

    def quality_file(self, identifier: str) -> Path:
        """Return where the quality report of a study is kept."""
        return self.study_folder(identifier) / "quality.npz"

    # channels

    def corrections(self, recording: Recording) -> dict[int, Kind]:
        """Return what users corrected for recordings of this montage: channel index → kind."""
        rows = self._connection.execute(
            "SELECT channel, kind FROM corrections WHERE montage = ?", (montage_signature(recording.channels),)
        )
        return {row["channel"]: Kind(row["kind"]) for row in rows}

    def correct_channel(self, identifier: str, index: int, kind: Kind | None) -> None:
        """Remember what a channel really is, for this and every later study of the same montage; None takes it back.

        Raises
        ------
        RequestError
            When the study has no such channel.
        """
        with closing(self._open(self.study(identifier).path)) as recording:
            montage = montage_signature(recording.channels)
            label = recording.channel(index).label
        with transaction(self._connection):
            self._connection.execute("DELETE FROM corrections WHERE montage = ? AND channel = ?", (montage, index))
            if kind is not None:
                self._connection.execute(
                    "INSERT INTO corrections (montage, channel, label, kind) VALUES (?, ?, ?, ?)", (montage, index, label, kind)
                )
        with closing(self.recording(identifier)) as recording:
            values = _header_values(recording)
        self._connection.execute("UPDATE studies SET modalities = ? WHERE montage = ?", (values["modalities"], montage))

    # scorings

    def store_scoring(self, identifier: str, scoring: Scoring, *, engine: str, model: str, provenance: dict[str, Any]) -> int:
        """Store a scoring; the same engine and model again replaces its older result.

        `provenance` holds at least `label`, `note` and `source_sha256`, the hash of the file that was scored.
        """
        if engine == PERSON:
            raise RequestError("a person's scoring is begun as a review, not stored from outside")
        folder = self.study_folder(identifier) / "scorings"
        with transaction(self._connection):
            old = self._connection.execute(
                "SELECT id, file FROM scorings WHERE study = ? AND engine = ? AND model = ?", (identifier, engine, model)
            ).fetchall()
            cursor = self._connection.execute(
                "INSERT INTO scorings (study, engine, model, file, provenance, source_sha256, created_at)"
                " VALUES (?, ?, ?, '', ?, ?, ?)",
                (
                    identifier,
                    engine,
                    model,
                    json.dumps(provenance),
                    provenance["source_sha256"],
                    datetime.now(UTC).isoformat(),
                ),
            )
            number = int(cursor.lastrowid or 0)
            file = folder / f"{number}-{engine}.csv"
            write_scoring(scoring, file, to="sleepfm")
            self._connection.execute("UPDATE scorings SET file = ? WHERE id = ?", (file.name, number))
            self._connection.executemany("DELETE FROM scorings WHERE id = ?", [(row["id"],) for row in old])
        for row in old:
            (folder / row["file"]).unlink(missing_ok=True)
        return number

    def remove_scoring(self, identifier: str, number: int) -> None:
        """Forget a scoring of a study; nothing happens when it is gone already.

        Raises
        ------
        RequestError
            When it is a review that somebody has edited.
        """
        with transaction(self._connection):
            self._require_no_edits("scoring = ?", number)
            gone = self._connection.execute(
                "DELETE FROM scorings WHERE study = ? AND id = ? RETURNING file", (identifier, number)
            ).fetchall()
        for row in gone:
            if row["file"]:  # a review has none
                (self.study_folder(identifier) / "scorings" / row["file"]).unlink(missing_ok=True)

    def _require_no_edits(self, which: str, value: str | int) -> None:
        """Refuse to forget what people worked on: within the transaction that would."""
        row = self._connection.execute(
            "SELECT v.study, v.scorer, count(*) AS edits FROM reviews v JOIN scorings r ON r.id = v.scoring"
            " JOIN edits e ON e.scoring = v.scoring AND e.study = v.study"
            f" WHERE v.{which} AND e.action <> 'begin' GROUP BY v.scoring LIMIT 1",
            (value,),
        ).fetchone()
        if row is not None:
            raise RequestError(
                f"{row['study']}: {row['scorer']}'s scoring of it has {row['edits']} edits, so it is not removed: what people did"
                " stays on record; put that scoring away first, on the Finish page"
            )

    def scorings(self, identifier: str) -> list[StoredScoring]:
        """Return the scorings of a study in the order of `SCORINGS_IN_ORDER`.

        One whose file was deleted is left out, and so are those made from other bytes than the study's file has now. A review has
        its stages of this moment and the probabilities of its proposal, which are not those of its stages (`as_stated`).
        """
        folder = self.study_folder(identifier) / "scorings"
        stored = []
        if self.study(identifier).status is StudyStatus.CHANGED:
            return []
        rows = self._connection.execute(
            "SELECT r.*, w.stages, w.probabilities FROM scorings r"
            " JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
            f" LEFT JOIN reviews w ON w.scoring = r.id WHERE r.study = ? ORDER BY {SCORINGS_IN_ORDER}",
            (identifier,),
        )
        for row in rows:
            file = folder / row["file"]
            if row["stages"] is not None or file.is_file():
                provenance = json.loads(row["provenance"])
                stored.append(
                    StoredScoring(
                        id=row["id"],
                        scoring=read_scoring(file) if row["stages"] is None else _reviewed(row),
                        engine=row["engine"],
                        model=row["model"],
                        label=provenance["label"],
                        note=provenance["note"],
                        created_at=datetime.fromisoformat(row["created_at"]),
                        provenance=provenance,
                    )
                )
        return stored


def _reviewed(row: sqlite3.Row) -> Scoring:
    """Return a review's stages as they are now, with the probabilities of the proposal that it was begun from."""
    shares = row["probabilities"]
    return Scoring(
        stages=np.frombuffer(row["stages"], np.int8),
        probabilities=None if shares is None else np.frombuffer(shares, np.float32).reshape(-1, len(SCORED_STAGES)),
        scorer=row["model"],
    )


def _header_values(recording: Recording) -> dict[str, Any]:
    modalities: dict[str, int] = {}
    for channel in recording.channels:
        if channel.modality is not None:
            modalities[channel.modality] = modalities.get(channel.modality, 0) + 1
    if not recording.channels:
        raise RecordingError(f"{recording.path}: holds annotations but no signals; open it as a scoring of its recording")
    return {
        "format": recording.format,
        "start": None if recording.start is None else recording.start.isoformat(),
        "duration_s": recording.duration_s,
        "channels": len(recording.channels),
        "modalities": json.dumps(modalities),
        "problems": json.dumps(list(recording.problems)),
        "simulated": int(recording.simulated),
        "montage": montage_signature(recording.channels),
    }
