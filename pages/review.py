from __future__ import annotations

from contextlib import closing
from functools import partial

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.engines import EngineChoice, engine_choices, event_choices
from sleepfm.library.event_sets import event_sets, newest_set
from sleepfm.library.imported_scorings import was_imported
from sleepfm.library.jobs import submit_events, submit_staging, submit_study
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_log import log_count
from sleepfm.library.study import Study, StudyStatus
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import OPEN_STATES
from sleepfm.text import plain, printable
from sleepfm.viewer.channel_table import channel_rows, corrected_kinds
from sleepfm.viewer.component import trace_viewer
from sleepfm.viewer.event_words import set_warnings, set_words
from sleepfm.viewer.page_style import TIGHT
from sleepfm.viewer.review_news import follow_events, show_event_news, taken_sets
from sleepfm.viewer.review_scoring import (
    REFUSED,
    choose_scorings,
    joined_reviews,
    other_scorer_dialog,
    say,
    show_said,
    show_score_button,
)
from sleepfm.viewer.role_widgets import action_button, export_button, may, stop_button
from sleepfm.viewer.scoring_export import MIME_TYPES, ExportFormat, current_export, export_name
from sleepfm.viewer.scoring_import import scoring_import_dialog
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.similar_words import window_of
from sleepfm.viewer.visits import Visit, arrive, last_study, paged
from sleepfm.viewer.words import time_left_words
from sleepfm.vocabulary import EPOCH_S, Kind

CHOICES = 200  # studies offered in the list at the top; the others are opened from the Studies page
EXPORTS: tuple[tuple[ExportFormat, str], ...] = (
    ("sleepfm", "Scoring CSV"),
    ("events", "Events CSV"),
    ("edf", "EDF+ annotations"),
)
MENU_CLOSED = "times the menu was closed"
TROUBLED = (StudyStatus.FAILED, StudyStatus.MISSING, StudyStatus.CHANGED)
BUSY = (StudyStatus.QUEUED, StudyStatus.WORKING)


def choose_study(library: Library) -> Study | None:
    """Return the study of the address, else the one looked at last, else the newest; None (and a word) where there is none."""
    wanted = st.query_params.get("study") or last_study(st.session_state)
    if wanted is not None:
        try:
            return library.study(wanted)
        except SleepFMError as error:
            st.error(plain(str(error)))
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
        "Study", ids, index=ids.index(study.id), key=f"study of {study.id}", label_visibility="collapsed", width=170
    )
    if chosen != study.id:
        st.query_params.from_dict({"study": chosen})
        st.rerun()


def choose_engine(library: Library, study: Study, *, is_staged: bool) -> EngineChoice | None:
    """Let the user choose an engine and stage with it; returns the one that is chosen."""
    choices = engine_choices(Shelf(library.home.models))
    chosen = st.selectbox("Engine", choices, format_func=lambda one: one.label, label_visibility="collapsed", width=185)
    if action_button("Stage again" if is_staged else "Stage", type="secondary" if is_staged else "primary"):
        try:
            submit_staging(library, study.id, engine=chosen.engine, model=chosen.model)
        except SleepFMError as error:
            st.session_state[REFUSED] = str(error)
        st.rerun()
    return chosen


def score_events(library: Library, study: Study, stages: StoredScoring) -> None:
    """Let events be scored with these stages; where the shelf has a breathing model, with its second opinion."""
    choices = event_choices(Shelf(library.home.models))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chosen = choices[0]
        if len(choices) > 1:
            chosen = st.selectbox(
                "Scored by", choices, format_func=lambda one: one.label, label_visibility="collapsed", width=185
            )
        if action_button("Score events", on_click=close_menu):
            submit_events(library, study.id, scoring=stages.id, breathing_model=chosen.model)
            st.rerun()


def show_progress(library: Library, study: Study, *, revision: str) -> None:
    """Show how far a study is; what it brings appears without a reload."""
    home, identifier = library.home, study.id

    @st.fragment(run_every=1.0)
    def progress() -> None:
        with Library(home) as fresh:
            now = fresh.study(identifier)
            if now.status not in BUSY or revision_of(fresh, identifier) != revision:
                st.rerun()
            left = "" if now.progress is None else time_left_words(now.seconds_left)
            job = None if now.job is None else fresh.jobs.get(now.job)
            what = "" if job is None else job.title.replace(f" of {identifier}", "")
            words = f"{what}{left}: {now.message or 'waiting'}" if what else f"{now.message or 'waiting'}{left}"
            # words of one line that ends in an ellipsis: a message that is longer moves nothing
            row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="running job", width="content")
            row.progress(now.progress or 0.0, plain(words), width=190)
            if job is not None:
                stop_button(fresh.jobs, job, place=row)

    with st.container(width=272, key="running"):  # a fragment would take the whole row
        progress()


def show_export(library: Library, study: Study, scorings: list[StoredScoring]) -> None:
    """Offer the shown scorings as files."""
    if not may(Role.SCORER):
        action_button("Export")
        return
    with st.popover("Export", disabled=not scorings, help=None if scorings else "Nothing to export: not staged yet"):
        show_files(library, study, scorings)


def show_files(library: Library, study: Study, scorings: list[StoredScoring]) -> None:
    """Offer the scorings of the popover."""
    for one in scorings:
        if one.simulated_model:
            st.caption(plain(f"{simulated_warning(one.label, simulated_recording=study.simulated)} The file's name says so."))
        for to, words in EXPORTS:
            export_button(
                words if len(scorings) == 1 else f"{words}, {printable(one.label)}",
                partial(current_export, library.home, study.id, one.id, to),
                file_name=export_name(
                    study.id,
                    one.engine,
                    to,
                    simulated_model=one.simulated_model,
                    simulated_recording=study.simulated,
                ),
                mime=MIME_TYPES[to],
                key=f"{to} {one.id}",
                on_click="ignore",
                width="stretch",
            )


def show_removal(library: Library, study: Study, scorings: list[StoredScoring]) -> None:
    """Offer to take the shown ones away that were made by a simulated model, added, or never edited."""
    for one in scorings:
        if not (one.simulated_model or one.by_person or was_imported(one)):
            continue
        words = "Remove this scoring" if len(scorings) == 1 else f"Remove {printable(one.label)}"
        edits = edit_count(library, one)
        if action_button(
            words,
            icon=":material/delete:",
            key=f"remove {one.id}",
            width="stretch",
            disabled=edits > 0,
            help=f"{edits} edits stand in it: it can be put away on the Finish page, with a reason." if edits else None,
            on_click=close_menu,
        ):
            try:
                library.remove_scoring(study.id, one.id)
                say(f"{one.label} was removed.")
            except SleepFMError as error:
                st.session_state[REFUSED] = str(error)
            st.rerun()


def edit_count(library: Library, one: StoredScoring) -> int:
    """Return how many edits a scoring has; what no person scores has none."""
    return log_count(library, one.id) - log_count(library, one.id, action="begin") if one.by_person else 0


def show_more(
    library: Library, study: Study, stored: list[StoredScoring], scorings: list[StoredScoring], *, can_stage: bool
) -> EngineChoice | None:
    """Show what is not needed all the time behind one button; returns the engine that is chosen there."""
    engine = None
    menu = f"more {st.session_state.get(MENU_CLOSED, 0)}"  # a new name is a closed menu: an open one would cover a dialog
    with st.popover("More", width="content", key=menu), st.container(width=310, gap="small"):
        about = {"study": study.id}
        st.page_link("pages/finish.py", label="Finish: numbers, report, signature", icon=":material/task:", query_params=about)
        st.page_link("pages/agreement.py", label="Agreement of scorings", icon=":material/compare_arrows:", query_params=about)
        if st.button("Channels", width="stretch", on_click=close_menu):
            show_channels(study.id)
        if stored and can_stage:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                engine = choose_engine(library, study, is_staged=True)
            score_events(library, study, (scorings or stored)[0])
        if can_stage and action_button(
            "Add a scoring or events", icon=":material/upload_file:", width="stretch", on_click=close_menu
        ):
            scoring_import_dialog(study.id, scorings[0].id if scorings else None)
        if study.status not in (StudyStatus.MISSING, StudyStatus.CHANGED) and action_button(
            "Another scorer, or from nothing", icon=":material/group_add:", width="stretch", on_click=close_menu
        ):
            other_scorer_dialog(study.id, [one.id for one in scorings])
        show_removal(library, study, scorings)
    return engine


def close_menu() -> None:
    """Close the menu behind More."""
    st.session_state[MENU_CLOSED] = st.session_state.get(MENU_CLOSED, 0) + 1


@st.dialog("Channels", width="large")
def show_channels(study_id: str) -> None:
    """Show what each channel was taken for, and let it be corrected."""
    with Library.open() as library, closing(library.recording(study_id)) as recording:
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
        if action_button("Save", type="primary", disabled=not changed):
            for index, kind in changed.items():
                library.correct_channel(study_id, index, kind)
            submit_study(library, study_id, stage=False)  # quality, spectrograms and envelopes depend on the kinds
            st.rerun()
        for problem in recording.problems:
            st.caption(plain(problem))


def revision_of(library: Library, identifier: str) -> str:
    """Return a text that changes when there is something new to see of a study."""
    seen = (
        library.recording_version(identifier),
        sorted(library.spectrograms(identifier)),
        library.quality_file(identifier).is_file(),
        [stored.id for stored in library.scorings(identifier)],
        newest_set(library, identifier),
    )
    return str(seen)


def words_without_scoring(library: Library, study: Study) -> str:
    """Return what stands where the hypnogram will be."""
    if library.jobs.list(states=OPEN_STATES, kinds=("stage",), subject=study.id, limit=1):
        return "Being staged: the hypnogram appears here when it is done"
    if study.status in BUSY:
        return "Not staged yet: the recording is being looked through"
    if study.status in (StudyStatus.MISSING, StudyStatus.CHANGED):
        return "Not staged"
    return "Not staged yet: press Stage for a proposal, or Score to do it yourself"


def show_notices(
    library: Library, study: Study, engine: EngineChoice | None, stored: list[StoredScoring], scorings: list[StoredScoring]
) -> None:
    """Say above the viewer what is wrong with the study, what is new of it, and what to think of the engine that is chosen."""
    # always one element, full or empty: were one to come and go above it, the viewer would be mounted anew
    with st.empty(), st.container(gap=None):
        # a file that is away is said by the viewer, where the night would be
        if study.status in TROUBLED and study.status is not StudyStatus.MISSING:
            st.error(plain(study.message))
        show_event_news(library, study, stored, scorings)
        if engine is not None and engine.simulated:
            say_of = st.info if study.simulated else st.warning
            say_of(plain(simulated_warning(str(engine.model), simulated_recording=study.simulated)))


def show_viewer(
    study: Study, visit: Visit, scorings: list[StoredScoring], *, revision: str, unscored: str, why_not: str, sets: dict[int, str]
) -> None:
    """Show the viewer; only this part runs again when its user pages."""

    def go_to_similar(epoch: int, modality: str | None) -> None:
        paged(st.session_state, study.id, epoch)  # the viewer itself has no time left to say it
        address = {"study": study.id, "at": str(int(window_of((epoch - 1) * EPOCH_S)))}
        st.switch_page("pages/similar.py", query_params=address | ({"query": modality} if modality else {}))

    @st.fragment
    def viewer() -> None:
        epoch = trace_viewer(
            study.id,
            epoch=visit.opened_at,
            visit=str(visit.number),
            scorings=[str(one.id) for one in scorings],
            revision=revision,
            unscored=unscored,
            why_not=why_not,
            joined=joined_reviews(),
            event_sets=sets,
            may_export=may(Role.SCORER),
            similar=go_to_similar,
        )
        if epoch is not None and st.query_params.get("epoch") != str(epoch):
            paged(st.session_state, study.id, epoch)
            st.query_params["epoch"] = str(epoch)

    viewer()


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        study = choose_study(library)
        if study is None:
            return
        st.html(TIGHT)
        if st.query_params.get("study") != study.id:
            st.query_params["study"] = study.id
        visit = arrive(st.session_state, study.id, st.query_params.get("epoch"))
        stored = library.scorings(study.id)
        try:
            revision = revision_of(library, study.id)
        except SleepFMError as error:  # the app may not read its folder, or does not know which it may
            show_picker(library, study)
            st.error(plain(str(error)))
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices"):
            show_picker(library, study)
            scorings = choose_scorings(study, stored)
            busy = study.status in BUSY
            can_stage = not busy and study.status not in (StudyStatus.MISSING, StudyStatus.CHANGED)
            engine = None
            if busy:
                show_progress(library, study, revision=revision)
            elif can_stage and not stored:
                engine = choose_engine(library, study, is_staged=False)
            why_not = show_score_button(library, study, stored, scorings)
            show_export(library, study, scorings)
            engine = show_more(library, study, stored, scorings, can_stage=can_stage) or engine
        follow_events(library, study)
        show_said()
        show_notices(library, study, engine, stored, scorings)
        sets = event_sets(library, study.id, read=False)
        show_viewer(
            study,
            visit,
            scorings,
            revision=f"{revision} {taken_sets(study.id)}",
            unscored=words_without_scoring(library, study),
            why_not=why_not,
            sets={one.id: printable(one.label) for one in sets},
        )
        made_by = " · ".join(f"{one.label}: {one.note}" for one in scorings) or "Not staged yet"
        warnings = [f"{one.label}: {warning}" for one in scorings for warning in one.provenance.get("warnings", [])]
        events = ""
        if sets:
            events = f"{plain(set_words(sets[0]))}. Events from a program are proposals too.  \n"
            warnings += [f"{sets[0].label}: {warning}" for warning in set_warnings(sets[0])]
        remarks = "  \n".join(f":material/warning: {plain(warning)}" for warning in warnings)
        st.caption(
            f"{plain(made_by)}. Stages from an engine are proposals until a person has reviewed them.  \n{events}{remarks}"
        )


main()
