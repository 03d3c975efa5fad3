from __future__ import annotations

import pandas as pd
import streamlit as st

from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.ahi_rule import ahi_rule
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.night_statistics import study_statistics
from sleepfm.library.report_files import StoredReport, report_stamp, stored_report
from sleepfm.library.reviews import Review, ReviewState, reviews_of
from sleepfm.library.scored_night import scored_night
from sleepfm.library.study import Study, StudyStatus
from sleepfm.report.content import EVENT_COLUMNS, EVENTS_NOTE, event_rows, moment
from sleepfm.report.gather import Telling
from sleepfm.report.making import PAPERS, Wish, submit_report
from sleepfm.runs.table import OPEN_STATES, Job, JobState
from sleepfm.text import plain, printable
from sleepfm.viewer.finish_acts import show_said
from sleepfm.viewer.finish_away import show_put_away
from sleepfm.viewer.finish_sign import show_sign_off
from sleepfm.viewer.finish_statistics import TABLE_PX, show_statistics
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.report_preview import report_preview
from sleepfm.viewer.role_widgets import action_button, export_button, may
from sleepfm.viewer.runs_words import kind_words
from sleepfm.viewer.scoring_export import export_choices
from sleepfm.viewer.signed_in import current_user, require
from sleepfm.viewer.visits import last_study

CHOICES = 200  # studies offered in the list at the top; the others are opened from the Studies page
STUDY, REFUSED = "finish study", "report refused"
NUMBERS, SIGN, REPORT, EXPORT = "Numbers", "Sign-off", "Report", "Export"
VIEWS = {view.lower(): view for view in (NUMBERS, SIGN, REPORT, EXPORT)}  # as they stand in the address
VIEW = "finish view"
PAPER_NAMES = {"a4": "A4", "letter": "Letter"}
UNREADABLE = (StudyStatus.MISSING, StudyStatus.CHANGED)

# a table of numbers and a page of paper need the room that Streamlit leaves between its elements
TIGHT = """<style>
.stMainBlockContainer { padding-left: 1.4rem; padding-right: 1.4rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml) { display: none; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.6rem; }
</style>"""


def choose_study(library: Library) -> Study | None:
    """Let the user choose a study: at first that of the address, else the one looked at last, else the newest."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    if not ids:
        with st.container():
            st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
            st.page_link("pages/studies.py", label="To the studies")
        return None
    wanted = st.query_params.get("study") or st.session_state.get(STUDY) or last_study(st.session_state)
    try:
        study = library.study(wanted or ids[0])
    except SleepFMError as error:
        with st.container():
            st.error(plain(str(error)))
            st.page_link("pages/studies.py", label="To the studies")
        return None
    if study.id not in ids:
        ids.insert(0, study.id)
    chosen = st.selectbox("Study", ids, index=ids.index(study.id), key=f"finish study of {study.id}", width=210)
    if chosen != study.id:
        st.query_params["study"] = chosen
        st.rerun()
    kept = {name: value for name, value in st.query_params.to_dict().items() if name == "view"}
    if st.query_params.to_dict() != kept | {"study": study.id}:  # the browser's way back brings the Review page's epoch along
        st.query_params.from_dict({"study": study.id} | kept)
    st.session_state[STUDY] = study.id
    return study


def choose_scoring(study: Study, stored: list[StoredScoring], reviews: dict[int, Review]) -> StoredScoring | None:
    """Let the user choose one of the study's scorings; at first the one that counts."""
    if not stored:
        return None
    by_id = {one.id: one for one in stored}

    def words(number: int) -> str:
        review = reviews.get(number)
        state = "proposal" if review is None else review.state.value
        return printable(f"{by_id[number].label} ({state})")

    # a new scoring is another question: what was chosen before it came does not stand in its place
    question = f"finish scoring {study.id} {sorted(by_id)}"
    before = st.session_state.get(question)
    chosen = st.selectbox(
        "Scoring",
        list(by_id),
        index=list(by_id).index(before) if before in by_id else 0,
        format_func=words,
        key=f"{question} {[words(number) for number in by_id]}",  # one that was signed keeps its old words else
        width=240,
    )
    st.session_state[question] = chosen
    return by_id[chosen]


def choose_view() -> str:
    """Let the user choose what is looked at; the address keeps it, so that a link or a reload leads there again."""
    asked = st.query_params.get("view", "")
    if asked in VIEWS and asked != st.session_state.get(f"{VIEW} in the address"):
        st.session_state[VIEW] = VIEWS[asked]  # somebody came by a link
    st.session_state.setdefault(VIEW, NUMBERS)
    view = str(st.segmented_control("View", list(VIEWS.values()), required=True, key=VIEW, persist_state="session"))
    st.session_state[f"{VIEW} in the address"] = view.lower()
    if asked != view.lower():
        st.query_params["view"] = view.lower()
    return view


def show_state(review: Review | None, one: StoredScoring) -> None:
    """Say in one line who stands behind the scoring."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if review is None:
            st.badge("Unsigned draft", color="red")
            st.markdown(plain(f"{one.label}: {one.note}. Nobody has reviewed it."), width="content")
        elif review.state is ReviewState.SIGNED:
            st.badge("Signed", color="green", icon=":material/verified:")
            st.markdown(plain(f"by {review.signer}, {moment(review.signed_at)}"), width="content")
        else:
            st.badge("Unsigned draft" if review.state is ReviewState.OPEN else "Reviewed, not signed", color="red")
            begun = f"begun from {review.proposal}" if review.proposal else "begun from nothing"
            st.markdown(plain(f"{review.scorer}, {begun}; last edit {moment(review.changed_at)}"), width="content")


def show_simulated(study: Study, one: StoredScoring) -> None:
    """Say in large words what was simulated, whether it is looked at, signed or taken along."""
    if study.simulated:
        st.warning("**SIMULATED RECORDING.** These signals never came from a person.", icon=":material/science:")
    elif one.simulated_model:
        st.warning(plain(simulated_warning(one.label, simulated_recording=study.simulated)), icon=":material/science:")


def show_without_scoring(library: Library, study: Study) -> None:
    """Say what is missing, and where it comes from."""
    if study.status in UNREADABLE:
        st.error(plain(study.message))
        return
    running = next(iter(library.jobs.list(states=OPEN_STATES, subject=study.id, limit=1)), None)
    if running is not None:
        st.info(plain(f"{kind_words(running.kind)} of this night is under way; its numbers come when there are stages."))
        show_progress(library.home, running)
        return
    st.info(
        "This night has no scoring yet: let it be staged, or score it yourself, on the Review page.", icon=":material/bedtime:"
    )
    st.page_link("pages/review.py", label="To the Review page", query_params={"study": study.id})


def show_numbers(library: Library, study: Study, one: StoredScoring) -> None:
    """Show the statistics with their definitions, and what was marked."""
    night = scored_night(library, study.id, one.id)
    rule = ahi_rule(night.events_from.provenance)
    show_statistics(study_statistics(library, study.id, one.id), study=study.id, rule=rule)
    rows = event_rows(night.events, night.stages_n)
    st.markdown("**Events**")
    if not rows:
        st.caption("No events are marked.")
        return
    with st.container(width=TABLE_PX):
        st.table(pd.DataFrame(rows, columns=EVENT_COLUMNS), border="horizontal", hide_index=True, alt="Events of the night")
    st.caption(EVENTS_NOTE)


def show_report(library: Library, study: Study, one: StoredScoring) -> None:
    """Offer the report: how it is wanted, how far it is, the files, and what it looks like."""
    running = next(iter(library.jobs.list(states=OPEN_STATES, kinds=("report",), subject=study.id, limit=1)), None)
    stored = stored_report(library, study.id, one.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="finish-report"):
        ask_report(library, study, one, stored, running)
        if stored is not None:
            show_files(stored)
    show_report_notices(library, study, one, stored, running)
    if stored is not None and (may(Role.SCORER) or not stored.identified):
        report_preview(study.id, one.id, stamp=stored.made_at.isoformat())


def ask_report(library: Library, study: Study, one: StoredScoring, stored: StoredReport | None, running: Job | None) -> None:
    """Ask how the report is wanted, and let it be made; while it is made, show how far it is."""
    paper = st.selectbox(
        "Paper",
        PAPERS,
        format_func=PAPER_NAMES.__getitem__,
        key="report paper",
        label_visibility="collapsed",
        width=100,
        persist_state="session",
    )
    person = st.toggle("Age and sex", value=True, key="report person", help="As the cohort's table tells them.")
    identified = st.toggle(
        "Name and date",
        key=f"report identified {study.id}",
        help="The header's patient field and the day. Without it the report holds nothing of the header's identity.",
    )
    if running is not None:
        show_progress(library.home, running, width=225)
        return
    label = "Make report" if stored is None else "Make again"
    if action_button(label, type="primary" if stored is None else "secondary", disabled=study.status in UNREADABLE):
        user = current_user().name
        try:
            wish = Wish(paper=paper, telling=Telling(identified=identified, person=person))
            submit_report(library, study.id, one.id, wish, submitted_by=user)
            record(library.connection, user, "make report", study.id, {"scoring": one.id, "identified": identified})
        except SleepFMError as error:
            st.session_state[REFUSED] = str(error)
        st.rerun()


def show_files(stored: StoredReport) -> None:
    """Offer the report's files."""
    stem = f"{stored.name}_report{'_identified' if stored.identified else ''}"
    for name, file, kind in (("PDF", stored.pdf, "application/pdf"), ("HTML", stored.html, "text/html")):
        export_button(
            name,
            file.read_bytes(),
            f"{stem}{file.suffix}",
            kind,
            key=f"report {file.name}",
            icon=":material/download:",
            on_click="ignore",
        )


def show_report_notices(
    library: Library, study: Study, one: StoredScoring, stored: StoredReport | None, running: Job | None
) -> None:
    """Say what went wrong, what is missing, and whether the report is of what is known now."""
    refused = st.session_state.pop(REFUSED, None)
    last = next(iter(library.jobs.list(kinds=("report",), subject=study.id, limit=1)), None)
    failed = last is not None and last.state in (JobState.FAILED, JobState.CRASHED) and last.parameters["scoring"] == one.id
    if last is not None and failed and (stored is None or stored.made_at < last.created_at):
        refused = refused or f"The report could not be made: {last.error}"
    if refused:
        st.error(plain(refused))
    if stored is None:
        if running is None and not refused:
            st.info("There is no report of this scoring yet.", icon=":material/description:")
        return
    if stored.stamp != report_stamp(library, study.id, one.id):
        st.warning("This report is not of what is known now: the scoring, the events or the signals were changed. Make it again.")
    told = "names the person and the day" if stored.identified else "holds nothing of the header's identity"
    st.caption(plain(f"Made {moment(stored.made_at)}; it {told}."))


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    st.html(TIGHT)
    with Library.open() as library:
        try:
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="finish-choices"):
                study = choose_study(library)
                if study is None:
                    return
                stored = library.scorings(study.id)
                reviews = {one.scoring: one for one in reviews_of(library, study.id)}
                one = choose_scoring(study, stored, reviews)
                view = choose_view() if one is not None else NUMBERS
                st.page_link("pages/review.py", label="To the traces", query_params={"study": study.id})
            if one is None:
                show_said()
                show_without_scoring(library, study)
                show_put_away(library, study.id)
                return
            if view != REPORT:  # which says it itself
                show_simulated(study, one)
            if view != SIGN:  # which tells more of the same
                show_state(reviews.get(one.id), one)
            if view == NUMBERS:
                show_numbers(library, study, one)
            elif view == REPORT:
                show_report(library, study, one)
            elif view == SIGN:
                show_sign_off(library, study, one.id)
            else:
                export_choices(library, study, one, key=f"finish {one.id}")
        except SleepFMError as error:  # a file of the library is damaged, or the recording went: the line names it
            st.error(plain(str(error)))
    st.caption("Research use. Nothing here is a diagnosis.")


main()
