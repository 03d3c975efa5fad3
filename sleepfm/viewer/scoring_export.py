"""A scoring and its events as a file to download, in every format that is written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import streamlit as st

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.export_check import without_identity
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.reviews import review
from sleepfm.library.scored_night import scored_night
from sleepfm.library.study import Study
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import ScoringFormat, write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.text import plain
from sleepfm.viewer.finish_log import log_buttons
from sleepfm.viewer.role_widgets import export_button


@dataclass(frozen=True)
class ExportForm:
    """One kind of file that is offered.

    Attributes
    ----------
    label
        For people.
    to
        The format; None for the events CSV, which holds no stages.
    suffix, mime
        Of the file.
    holds
        What is in it.
    """

    label: str
    to: ScoringFormat | None
    suffix: str
    mime: str
    holds: str


_BYTES = "application/octet-stream"
_ALL = "stages, a model's probabilities, events with their channels"
FORMS: dict[str, ExportForm] = {
    "sleepfm": ExportForm("SleepFM CSV", "sleepfm", ".csv", "text/csv", "stages, and a model's probabilities"),
    "events": ExportForm("Events CSV", None, "_events.csv", "text/csv", "events with all that is known of them"),
    "edf": ExportForm("EDF+ annotations", "edf", ".edf", _BYTES, "stages, events with their channels, the start"),
    "nsrr": ExportForm("NSRR XML", "nsrr", "-nsrr.xml", "application/xml", "stages, events with their channels, the start"),
    "annot": ExportForm("Luna .annot", "annot", ".annot", "text/plain", _ALL),
    "eannot": ExportForm("Luna .eannot", "eannot", ".eannot", "text/plain", "stages"),
    "usleep": ExportForm("U-Sleep .tsv", "usleep", ".tsv", "text/tab-separated-values", "stages"),
    "usleep-npy": ExportForm("U-Sleep .npy", "usleep", ".npy", _BYTES, "probabilities, or stages where there are none"),
    "yasa": ExportForm("YASA .txt", "yasa", ".txt", "text/plain", "stages as integers"),
    "yasa-csv": ExportForm("YASA .csv", "yasa", "_yasa.csv", "text/csv", "stages, and a model's probabilities"),
    "bids": ExportForm("BIDS events.tsv", "bids", "_events.tsv", "text/tab-separated-values", _ALL),
}
"""What is offered, the commonest first."""
_WITH_EVENTS = frozenset({None, "edf", "nsrr", "annot", "bids"})
ExportFormat = str
"""One of the keys of `FORMS`."""
SUFFIXES: dict[str, str] = {key: form.suffix for key, form in FORMS.items()}
MIME_TYPES: dict[str, str] = {key: form.mime for key, form in FORMS.items()}


def export_name(study_id: str, engine: str, to: ExportFormat, *, simulated_model: bool, simulated_recording: bool) -> str:
    """Return the file's name, which says what the file's content cannot: that a model or the recording was simulated."""
    model = "_simulated-model" if simulated_model else ""
    recording = "_simulated" if simulated_recording else ""
    return f"{study_id}_{engine}{model}{recording}{SUFFIXES[to]}"


def export_scoring(scoring: Scoring, to: ExportFormat, start: datetime | None, events: Sequence[Event] = ()) -> bytes:
    """Return the content of a file of one of the `FORMS`, with the events where it has a place for them."""
    form = FORMS[to]
    with tempfile.TemporaryDirectory(prefix="sleepfm-export-") as folder:
        file = Path(folder) / f"scoring{form.suffix}"
        if form.to is None:
            write_events(events, file)
        else:
            write_scoring(scoring, file, to=form.to, start=start, events=events)
        return file.read_bytes()


def export_choices(library: Library, study: Study, one: StoredScoring, *, key: str) -> None:
    """Draw a choice of format and the button that takes the scoring and its events out, as they stand when it is pressed.

    Parameters
    ----------
    key
        Distinguishes these widgets from others of the page.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        to = st.selectbox("Format", list(FORMS), format_func=lambda name: FORMS[name].label, key=f"format {key}", width=210)
        export_button(
            "Download",
            partial(current_export, library.home, study.id, one.id, to),
            file_name=export_name(
                study.id, one.engine, to, simulated_model=one.simulated_model, simulated_recording=study.simulated
            ),
            mime=MIME_TYPES[to],
            key=f"export {key}",
            icon=":material/download:",
            on_click="ignore",
        )
        if one.by_person:
            log_buttons(library.home, review(library, one.id))
    log = " The log says who scored what." if one.by_person else ""
    st.caption(plain(f"Holds {FORMS[to].holds}. Names nobody.{log}"))


def current_export(home: Home, study_id: str, scoring: int, to: ExportFormat) -> bytes:
    """Return a file of a scoring as it is now: a review may have been edited since the page was drawn.

    Raises
    ------
    RequestError
        When the scoring is not there any more.
    SleepFMError
        When a word or birthdate of the recording's header stands in the file, as in the label of an event's channel.
    """
    with Library(home) as library:
        stored = next((one for one in library.scorings(study_id) if one.id == scoring), None)
        if stored is None:
            raise RequestError("this scoring is not there any more; reload the page")
        events = scored_night(library, study_id, scoring).events if FORMS[to].to in _WITH_EVENTS else ()
        study = library.study(study_id)
        content = export_scoring(stored.as_stated(), to, study.start, events)
        return without_identity(library.home, study.path, content, f"{study_id}{SUFFIXES[to]}", scorer=stored.label)
