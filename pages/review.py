from __future__ import annotations

import streamlit as st

from sleepfm.errors import SleepFMError
from sleepfm.library.jobs import submit_staging
from sleepfm.library.library import Library, StoredScoring, Study, StudyStatus
from sleepfm.text import printable
from sleepfm.viewer.channel_table import channel_rows, corrected_kinds
from sleepfm.viewer.component import trace_viewer
from sleepfm.viewer.scoring_export import MIME_TYPES, SUFFIXES, export_scoring
from sleepfm.viewer.visits import Visit, arrive, last_study, paged
from sleepfm.viewer.words import time_left_words
from sleepfm.vocabulary import Kind

CHOICES = 200  # studies offered in the list at the top; the others are opened from the Studies page
ENGINES = {"auto": "Best engine", "sleepfm": "SleepFM", "yasa": "YASA"}
BUSY = (StudyStatus.QUEUED, StudyStatus.WORKING)

# The traces need the room that Streamlit leaves around a page.
TIGHT = """<style>
.stMainBlockContainer { padding: 4rem 0.8rem 0 0.8rem; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.45rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml) { display: none; }
</style>"""


def choose_study(library: Library) -> Study | None:
    """Return the study of the address, else the one looked at last, else the newest; None (and a word) where there is none."""
    wanted = st.query_params.get("study") or last_study(st.session_state)
    if wanted is not None:
        try:
            return library.study(wanted)
        except SleepFMError as error:
            st.error(printable(str(error)))
            st.page_link("pages/studies.py", label="To the studies")
            return None
    newest = library.studies(limit=1)
    if not newest:
        st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
        st.page_link("pages/studies.py", label="To the studies")
        return None
    return newest[0]


def show_picker(library: Library, study: Study) -> None:
    """Offer the other studies."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    if study.id not in ids:
        ids.insert(0, study.id)
    chosen = st.selectbox(
        "Study", ids, index=ids.index(study.id), key=f"study of {study.id}", label_visibility="collapsed", width=260
    )
    if chosen != study.id:
        st.query_params.from_dict({"study": chosen})
        st.rerun()


def choose_scorings(stored: list[StoredScoring]) -> list[StoredScoring]:
    """Let the user choose the upper and the lower hypnogram; the newest scoring is the upper one at first."""
    if not stored:
        return []
    by_id = {one.id: one for one in stored}
    names = {one.id: printable(one.label) for one in stored}
    upper = st.selectbox("Upper hypnogram", list(by_id), format_func=names.__getitem__, label_visibility="collapsed", width=190)
    if len(stored) == 1:
        return [by_id[upper]]
    others = [None, *(one for one in by_id if one != upper)]
    lower = st.selectbox(
        "Lower hypnogram",
        others,
        format_func=lambda one: "compare with …" if one is None else names[one],
        label_visibility="collapsed",
        width=190,
    )
    return [by_id[upper]] if lower is None else [by_id[upper], by_id[lower]]


def show_staging(library: Library, study: Study, *, is_staged: bool) -> None:
    """Offer staging, or show how far it is."""
    if study.status not in BUSY:
        if study.status in (StudyStatus.MISSING, StudyStatus.CHANGED):
            return
        engine = st.selectbox("Engine", list(ENGINES), format_func=ENGINES.__getitem__, label_visibility="collapsed", width=130)
        if st.button("Stage again" if is_staged else "Stage", type="secondary" if is_staged else "primary"):
            try:
                submit_staging(library, study.id, engine=engine)
            except SleepFMError as error:
                st.session_state["staging refused"] = str(error)
            st.rerun()
        return
    home, identifier = library.home, study.id

    @st.fragment(run_every=1.0)
    def progress() -> None:
        with Library(home) as fresh:
            now = fresh.study(identifier)
            if now.status not in BUSY:
                st.rerun()
            left = "" if now.progress is None else time_left_words(now.seconds_left)
            row = st.container(horizontal=True, vertical_alignment="center", width="content")
            row.progress(now.progress or 0.0, printable(f"{now.message or 'waiting'}{left}"), width=300)
            if now.job is not None and row.button("Cancel"):
                fresh.jobs.request_stop(now.job)

    progress()


def show_export(study: Study, scorings: list[StoredScoring]) -> None:
    """Offer the shown scorings as files."""
    with st.popover("Export", disabled=not scorings, help=None if scorings else "Nothing to export: not staged yet"):
        for one in scorings:
            for to, words in (("sleepfm", "Scoring CSV"), ("edf", "EDF+ annotations")):
                st.download_button(
                    words if len(scorings) == 1 else f"{words}, {printable(one.label)}",
                    export_scoring(one.scoring, to, study.start),
                    f"{study.id}_{one.engine}{SUFFIXES[to]}",
                    MIME_TYPES[to],
                    key=f"{to} {one.id}",
                    on_click="ignore",
                    width="stretch",
                )


@st.dialog("Channels", width="large")
def show_channels(study_id: str) -> None:
    """Show what each channel was taken for, and let it be corrected."""
    with Library.open() as library, library.recording(study_id) as recording:
        before = channel_rows(recording, library.quality(study_id))
        st.caption("A corrected kind is remembered for every study with the same montage. Stage again to use it.")
        after = st.data_editor(
            before,
            hide_index=True,
            disabled=[name for name in before.columns if name != "Kind"],
            column_config={"Kind": st.column_config.SelectboxColumn(options=[kind.value for kind in Kind], required=True)},
            key=f"channels of {study_id}",
        )
        changed = corrected_kinds(before, after)
        if st.button("Save", type="primary", disabled=not changed):
            for index, kind in changed.items():
                library.correct_channel(study_id, index, kind)
            st.rerun()
        for problem in recording.problems:
            st.caption(printable(problem))


def show_viewer(study: Study, visit: Visit, scorings: list[StoredScoring], revision: str) -> None:
    """Show the viewer; only this part runs again when its user pages."""

    @st.fragment
    def viewer() -> None:
        epoch = trace_viewer(
            study.id,
            epoch=visit.opened_at,
            visit=str(visit.number),
            scorings=[str(one.id) for one in scorings],
            revision=revision,
        )
        if epoch is not None and st.query_params.get("epoch") != str(epoch):
            paged(st.session_state, study.id, epoch)
            st.query_params["epoch"] = str(epoch)

    viewer()


def main() -> None:
    """Draw the page."""
    st.html(TIGHT)
    with Library.open() as library:
        study = choose_study(library)
        if study is None:
            return
        if st.query_params.get("study") != study.id:
            st.query_params["study"] = study.id
        visit = arrive(st.session_state, study.id, st.query_params.get("epoch"))
        stored = library.scorings(study.id)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            show_picker(library, study)
            scorings = choose_scorings(stored)
            show_staging(library, study, is_staged=bool(stored))
            show_export(study, scorings)
            if st.button("Channels"):
                show_channels(study.id)
        refused = st.session_state.pop("staging refused", None) or (study.message if study.status is StudyStatus.FAILED else None)
        if refused:
            st.error(printable(refused))
        revision = (
            library.recording_version(study.id),
            sorted(library.spectrograms(study.id)),
            library.quality_file(study.id).is_file(),
        )
        show_viewer(study, visit, scorings, revision=str(revision))
        made_by = " · ".join(f"{one.label}: {one.note}" for one in scorings) or "Not staged yet"
        st.caption(printable(f"{made_by}. Stages from an engine are proposals until a person has reviewed them."))


main()
