"""The dialog that adds a scoring or events from a file to a study: what the file says is seen before it is stored."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from sleepfm.administration.readable_folders import require_readable
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.imported_scorings import MOST_MB, added_files, read_for_study, remarks, remove_added, store_imported
from sleepfm.library.library import Library
from sleepfm.recording.scorings.codes import CodesNeededError
from sleepfm.recording.scorings.formats import FORMAT_NAMES, READABLE, ScoringFile
from sleepfm.text import plain, printable
from sleepfm.viewer.review_news import announce
from sleepfm.viewer.review_scoring import say, show_below
from sleepfm.viewer.role_widgets import action_button
from sleepfm.viewer.signed_in import current_user, require
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_SHORT, Stage

_UPLOAD, _PATH = "Upload a file", "A path on the app's machine"
_PREFIX = "sleepfm-scoring-"
_HEADER = ".hea"
_LONGEST_NAME = 120
_SHOWN_REMARKS = 12
_STAGES = (*SCORED_STAGES, Stage.UNKNOWN)
_MOST_CODES = 16


@st.dialog("Add a scoring or events", width="large")
def scoring_import_dialog(study_id: str, upper: int | None = None) -> None:
    """Ask for a file, show what it says of this night, and add it below `upper`, the scoring that is looked at."""
    require(Role.SCORER)
    st.caption(
        "EDF+, NSRR or Profusion XML, Luna, U-Sleep, YASA, BIDS, RemLogic, Noxturnal, Nihon Kohden, WFDB, or our CSV: "
        "which one it is, is seen from its content. It is laid over the recording by clock time."
    )
    way = st.segmented_control("Where it lies", (_UPLOAD, _PATH), default=_UPLOAD, required=True, key="scoring way")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    uploaded: list[Any] = []
    typed = ""
    if way == _UPLOAD:
        uploaded = left.file_uploader(
            "Scoring or events file; of a WFDB record its header (.hea) too",
            accept_multiple_files=True,
            max_upload_size=MOST_MB,
            key=f"scoring file of {study_id}",
        )
    else:
        typed = left.text_input("Path of the file", placeholder="/data/night-nsrr.xml", key=f"scoring path of {study_id}")
    stated = right.selectbox(
        "Format",
        READABLE,
        index=None,
        format_func=FORMAT_NAMES.__getitem__,
        placeholder="by its content",
        key=f"scoring format of {study_id}",
    )
    with Library.open() as library:
        if not uploaded and not typed.strip():
            _show_added(library, study_id)
            return
        try:
            with _file(library, uploaded, typed) as file:
                codes = _codes(library, study_id, file, stated)
                read = read_for_study(library, study_id, file, as_format=stated, codes=codes)
                if _show(read):
                    _add(library, study_id, read, file, upper)
                    st.rerun()
        except CodesNeededError:
            return  # what was asked has no answer yet
        except SleepFMError as error:
            st.error(plain(_without_folder(str(error))))


def _add(library: Library, study_id: str, read: ScoringFile, file: Path, upper: int | None) -> None:
    """Add a file, and have the page show its stages, offer its events and say what was added."""
    added = store_imported(library, study_id, read, file=file, user=current_user().name)
    holds = []
    if added.scoring is not None and read.scoring is not None:
        show_below(upper, added.scoring)
        holds.append(f"{len(read.scoring.stages)} epochs")
    if added.events is not None:
        announce(study_id, added.events, len(read.events))
        holds.append("1 event" if len(read.events) == 1 else f"{len(read.events)} events")
    say(f"Added {printable(file.name)}: {' and '.join(holds)}.")


def _show_added(library: Library, study_id: str) -> None:
    """List what was added before, to take it away again."""
    for added in added_files(library, study_id):
        holds = ["stages"] if added.stored.scoring is not None else []
        holds += [f"{added.n_events} events"] if added.n_events else []
        about = plain(f"{added.note}; {', '.join(holds)}")
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{plain(added.name)}**: {about}", width="content")
            if action_button("Remove", icon=":material/delete:", key=f"remove added {added.name}"):
                remove_added(library, study_id, added, user=current_user().name)
                st.rerun()


@contextmanager
def _file(library: Library, uploaded: Sequence[Any], typed: str) -> Iterator[Path]:
    """Give a path to read: of an upload a copy that is gone afterwards.

    Raises
    ------
    RequestError
        When several files were uploaded that are not one scoring and its header, or a path leads outside the folders that the
        app may read.
    """
    if not uploaded:
        path = require_readable(library.home, typed.strip().strip('"'))
        require_readable(library.home, path.with_suffix(_HEADER))  # a WFDB annotation's reader opens it too
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        files = []
        for one in uploaded:
            file = Path(folder) / (PurePosixPath(one.name.replace("\\", "/")).name[-_LONGEST_NAME:] or "scoring")
            file.write_bytes(one.getvalue())
            files.append(file)
        scorings = [file for file in files if file.suffix.lower() != _HEADER]
        if len(scorings) != 1:
            raise RequestError("upload one scoring, and beside it at most the header (.hea) of its WFDB record")
        yield scorings[0]


def _without_folder(message: str) -> str:
    """Return an error of an upload without the folder that its copy lay in."""
    return re.sub(rf"\S*{_PREFIX}[^/\\]*[/\\]", "", message)


def _codes(library: Library, study_id: str, file: Path, stated: Any) -> Mapping[int, Stage] | None:
    """Ask what integers mean when nobody said it; None when nothing has to be asked.

    Raises
    ------
    CodesNeededError
        When not every code has its stage yet.
    """
    try:
        read_for_study(library, study_id, file, as_format=stated)
    except CodesNeededError as error:
        st.warning(
            "The file holds integers, and programs mean different stages by them: say what each one is, or above which program's "
            "format it is."
        )
        if len(error.counts) > _MOST_CODES:
            st.error(plain(f"{len(error.counts)} different integers: this is no hypnogram"))
            raise
        found: dict[int, Stage] = {}
        with st.container(horizontal=True, gap="small"):
            for code in sorted(error.counts):
                stage = st.selectbox(
                    f"{code}: {error.counts[code]} epochs",
                    _STAGES,
                    index=None,
                    format_func=STAGE_SHORT.__getitem__,
                    placeholder="which stage?",
                    key=f"code {code} of {study_id} {file.name}",
                    width=140,
                )
                if stage is not None:
                    found[code] = stage
        if len(found) < len(error.counts):
            raise
        return found
    return None


def stage_rows(read: ScoringFile) -> list[dict[str, object]]:
    """Return a row a stage: epochs, minutes, and the share of the recording."""
    if read.scoring is None:
        return []
    counts = Counter(read.scoring.stages.tolist())
    total = max(len(read.scoring.stages), 1)
    return [
        {
            "Stage": STAGE_SHORT[stage],
            "Epochs": counts[stage],
            "Minutes": counts[stage] * EPOCH_S / 60,
            "Share %": round(100 * counts[stage] / total, 1),
        }
        for stage in _STAGES
    ]


def event_rows(read: ScoringFile) -> list[dict[str, object]]:
    """Return a row a kind of event."""
    return [{"Event": printable(name), "Number": n} for name, n in Counter(one.name for one in read.events).most_common()]


def _show(read: ScoringFile) -> bool:
    """Show what a file says of the night; returns whether it shall be added."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{plain(FORMAT_NAMES[read.format])}**", width="content")
        wanted = action_button("Add", type="primary", key="add scoring")
    stages, events = st.columns(2)
    if read.scoring is None:
        stages.caption("No stages: only the events are added.")
    else:
        stages.dataframe(pd.DataFrame(stage_rows(read)), hide_index=True)
    if read.events:
        events.dataframe(pd.DataFrame(event_rows(read)), hide_index=True)
    else:
        events.caption("No events.")
    said = remarks(read)
    for one in said[:_SHOWN_REMARKS]:
        st.caption(f":material/warning: {plain(_without_folder(one))}")
    if len(said) > _SHOWN_REMARKS:
        st.caption(f"and {len(said) - _SHOWN_REMARKS} more remarks")
    return wanted
