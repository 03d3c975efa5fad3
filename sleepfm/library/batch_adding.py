"""The recordings of a batch as studies of the library, with what the batch found out about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sleepfm.errors import RecordingChangedError, SleepFMError
from sleepfm.library.batch_state import BatchState, Done
from sleepfm.library.event_sets import store_events
from sleepfm.library.jobs import queue_study
from sleepfm.library.library import Library
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.text import printable


def add_results(library: Library, folder: Path, state: BatchState) -> tuple[list[str], list[dict[str, str]]]:
    """Add every recording of a batch that came to something, with its hypnogram and events, and queue its preparation.

    Parameters
    ----------
    folder, state
        Of the batch.

    Returns
    -------
    tuple
        The studies' ids; `file` and `error` of those that could not be added.
    """
    added: list[str] = []
    failed: list[dict[str, str]] = []
    for one in state.done.values():
        if not one.id or not one.seconds:
            continue
        try:
            added.append(_add(library, folder / one.id, one))
        except SleepFMError as error:
            failed.append({"file": one.file, "error": str(error)})
    if added:
        ensure_running(library.home)
    return added, failed


def _add(library: Library, folder: Path, one: Done) -> str:
    study = library.add(one.file)
    stat = study.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (one.size, one.mtime_ns):
        raise RecordingChangedError(f"{study.path}: was changed since the batch read it; do the batch again")
    library.store_hash(study.id, one.sha256)
    try:
        provenance: dict[str, Any] = json.loads((folder / "provenance.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SleepFMError(f"{printable(str(folder))}: its provenance cannot be read ({error}); do the batch again") from None
    source = {"source_sha256": one.sha256}
    made = provenance.get("stage", {})
    if "stage" in one.seconds and isinstance(made.get("provenance"), dict):
        scoring = read_scoring(folder / "hypnogram.csv", duration_s=study.duration_s)
        library.store_scoring(
            study.id, scoring, engine=made["engine"], model=made["model"], provenance=made["provenance"] | source
        )
    marked = provenance.get("events", {})
    if "events" in one.seconds and isinstance(marked.get("provenance"), dict):
        events = read_events(folder / "events.csv")
        store_events(
            library, study.id, events, engine=marked["engine"], model=marked["model"], provenance=marked["provenance"] | source
        )
    if study.quality is None:
        queue_study(library, study.id, stage=False)
    return study.id
