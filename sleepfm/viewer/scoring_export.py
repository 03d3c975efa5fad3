"""A scoring as a file to download."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Literal

from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring

ExportFormat = Literal["sleepfm", "edf"]
SUFFIXES: dict[str, str] = {"sleepfm": ".csv", "edf": ".edf"}
MIME_TYPES: dict[str, str] = {"sleepfm": "text/csv", "edf": "application/octet-stream"}


def export_name(study_id: str, engine: str, to: str, *, simulated_model: bool, simulated_recording: bool) -> str:
    """Return the file's name, which says what the file's content cannot: that a model or the recording was simulated."""
    model = "_simulated-model" if simulated_model else ""
    recording = "_simulated" if simulated_recording else ""
    return f"{study_id}_{engine}{model}{recording}{SUFFIXES[to]}"


def export_scoring(scoring: Scoring, to: ExportFormat, start: datetime | None) -> bytes:
    """Return the content of a scoring file: the SleepFM CSV or EDF+ annotations that begin when the recording did."""
    with tempfile.TemporaryDirectory(prefix="sleepfm-export-") as folder:
        file = Path(folder) / f"scoring{SUFFIXES[to]}"
        write_scoring(scoring, file, to=to, start=start)
        return file.read_bytes()
