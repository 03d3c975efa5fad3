from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.inference.risk_request import OLDEST, YOUNGEST, require_person, sexes_of
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.facts import person
from sleepfm.library.job_risk import submit_risk
from sleepfm.library.library import Library
from sleepfm.library.risks import StoredRisk, remove, risks
from sleepfm.library.study import Study, StudyStatus
from sleepfm.models.card import SIMULATED, Sex
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import OPEN_STATES, Job, JobState
from sleepfm.text import plain
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.risk_choices import ModelChoice, chosen_at_first, model_choices, players_refused, result_words
from sleepfm.viewer.risk_one_night import show_result
from sleepfm.viewer.risk_reading import read_beside
from sleepfm.viewer.risk_several import show_cohort, show_compare
from sleepfm.viewer.risk_words import ACCEPT, NOTICE, made_words
from sleepfm.viewer.role_widgets import action_button
from sleepfm.viewer.scoring_choice import shown_at_first
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.visits import last_study

CHOICES = 200  # studies offered in the list at the top; the others are reached from the Studies page or by the address
ONE_NIGHT, COMPARE, COHORT = "One night", "Compare nights", "Cohort"
FROM_TABLE = " (from the cohort table)"
UNREADABLE = (StudyStatus.MISSING, StudyStatus.CHANGED)
ACCEPTED, STUDY = "risk notice accepted", "risk study"

# a table and four figures need the room that Streamlit leaves between its elements
TIGHT = """<style>
.stMainBlockContainer { padding-left: 1.4rem; padding-right: 1.4rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml) { display: none; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.6rem; }
</style>"""


def accept_notice() -> bool:
    """Show what the numbers are not, until its reader has agreed; return whether that was done in this session."""
    if st.session_state.get(ACCEPTED):
        return True
    with st.container(border=True, width=760, key="risk-notice"):
        st.subheader("Research use")
        st.markdown(plain(NOTICE))
        if st.button(ACCEPT, type="primary"):
            st.session_state[ACCEPTED] = True
            st.rerun()
    return False


def say_no_studies() -> None:
    """Say where studies come from."""
    st.info("No studies yet: add a recording on the Studies page.", icon=":material/bedtime:")
    st.page_link("pages/studies.py", label="To the studies")


def choose_study(library: Library) -> Study | None:
    """Let the user choose a study: at first that of the address, else the one looked at last, else the newest."""
    wanted = st.query_params.get("study") or st.session_state.get(STUDY) or last_study(st.session_state)
    ids = [one.id for one in library.studies(limit=CHOICES)]
    if not ids:
        say_no_studies()
        return None
    try:
        study = library.study(wanted or ids[0])
    except SleepFMError as error:
        with st.container():
            st.error(plain(str(error)))
            st.page_link("pages/studies.py", label="To the studies")
        return None
    if study.id not in ids:
        ids.insert(0, study.id)
    chosen = st.selectbox("Study", ids, index=ids.index(study.id), key=f"risk study of {study.id}", width=210)
    if chosen != study.id:
        st.query_params["study"] = chosen
        st.rerun()
    if st.query_params.to_dict() != {"study": study.id}:  # the browser's way back brings the Review page's epoch along
        st.query_params.from_dict({"study": study.id})
    st.session_state[STUDY] = study.id
    return study


def choose_model(library: Library, study: Study, choices: list[ModelChoice]) -> ModelChoice | None:
    """Let the user choose a disease model; one that was trained on simulated signals is taken for a real night by name only."""
    first = chosen_at_first(Shelf(library.home.models), choices, simulated_recording=study.simulated)
    return st.selectbox(
        "Model",
        choices,
        index=None if first is None else choices.index(first),
        format_func=lambda one: one.label,
        placeholder="No disease model" if not choices else "Choose a model",
        disabled=not choices,
        key=f"risk model {study.simulated}",
        width=230,
    )


def ask_person(library: Library, study: Study, model: ModelChoice) -> tuple[float | None, Sex | None, bool]:
    """Ask for age and sex, filled in only with what the cohort's table says; and whether they are players."""
    known = person(library, study.id)
    offered = sexes_of(model.card)
    known_age = known.age if known.age is not None and YOUNGEST <= known.age <= OLDEST else None
    known_sex = known.sex if known.sex in offered else None
    # another answer of the table is another question: what was typed before it came does not stand in its place
    age_key, sex_key = f"risk age {study.id} {known_age}", f"risk sex {study.id} {known_sex} {'unknown' in offered}"
    from_table = {
        key: told is not None and st.session_state.get(key, told) == told
        for key, told in ((age_key, known_age), (sex_key, known_sex))
    }
    age = st.number_input(
        f"Age{FROM_TABLE}" if from_table[age_key] else "Age (years)",
        value=known_age,  # no limits here: the browser keeps a number beyond them on the screen and the last one within in force
        step=1.0,
        format="%g",
        placeholder="years",
        key=age_key,
        width=170,
        persist_state="session",
    )
    sex = st.selectbox(
        f"Sex{FROM_TABLE}" if from_table[sex_key] else "Sex",
        offered,
        index=None if known_sex is None else offered.index(known_sex),
        placeholder="choose",
        help=None if "unknown" in offered else "This model has no code for an unknown sex.",
        key=sex_key,
        width=170,
        persist_state="session",
    )
    refused = players_refused(model)
    players = st.toggle(
        "Age and sex as players",
        disabled=bool(refused),
        key=f"risk players {bool(refused)}",
        help=plain(refused)
        or "Gives age and sex a share of the score each; where absent, they are averaged over the reference people.",
    )
    return age, sex, players


def refused_person(model: ModelChoice, age: float | None, sex: Sex | None) -> str | None:
    """Return why a model cannot be asked by this age and sex, which is said under the row too; None when it can."""
    try:
        require_person(model.card, age, sex)
    except SleepFMError as error:
        st.session_state["risk refused"] = str(error)
        return str(error)
    return None


def show_assess(library: Library, study: Study, choices: list[ModelChoice], running: Job | None) -> ModelChoice | None:
    """Draw the row that asks: model, person, and the button or how far it is; return the model that is chosen."""
    model = choose_model(library, study, choices)
    if model is None:
        return None
    age, sex, players = ask_person(library, study, model) if model.card.takes_demographics else (None, None, False)
    if running is not None:
        show_progress(library.home, running, width=225)
        return model
    lacking = [name for name, value in (("age", age), ("sex", sex)) if model.card.takes_demographics and value is None]
    why = f"Needs {' and '.join(lacking)}" if lacking else refused_person(model, age, sex)
    if study.status in UNREADABLE:
        why = "The recording is missing or was changed"
    if action_button("Assess", type="primary", disabled=why is not None, help=why):
        try:
            submit_risk(library, study.id, model=model.name, age=age, sex=sex, demographic_players=players)
        except SleepFMError as error:
            st.session_state["risk refused"] = str(error)
        st.rerun()
    return model


def show_notices(
    library: Library,
    study: Study,
    choices: list[ModelChoice],
    stored: list[StoredRisk],
    *,
    model: ModelChoice | None,
    running: Job | None,
) -> None:
    """Say what went wrong, and what is missing."""
    refused = st.session_state.pop("risk refused", None)
    last = next(iter(library.jobs.list(kinds=("risk",), subject=study.id, limit=1)), None)
    failed = last is not None and last.state in (JobState.FAILED, JobState.CRASHED)
    if last is not None and failed and not any(one.created_at > last.created_at for one in stored):
        refused = refused or f"This night could not be assessed: {last.error}"
    if study.status in UNREADABLE:
        refused = refused or study.message
    if refused:
        st.error(plain(refused))
    if not choices:
        st.info(
            "There is no disease model on the shelf. Bring one with `sleepfm models import`, or train one with"
            " `sleepfm finetune disease`.",
            icon=":material/inventory_2:",
        )
    elif not stored and running is None and study.status not in UNREADABLE:
        asked = "say age and sex above" if model is None or model.card.takes_demographics else ""
        steps = [step for step in ("choose a model above" if model is None else "", asked, "press Assess") if step]
        st.info(f"Nothing was assessed of this night yet: {', then '.join(steps)}.", icon=":material/monitoring:")


def choose_result(study: Study, stored: list[StoredRisk]) -> StoredRisk:
    """Let the user choose one of the stored results; a new one is chosen when it comes."""
    by_id = {one.id: one for one in stored}
    number = st.selectbox(
        "Result",
        list(by_id),
        format_func=lambda one: result_words(by_id[one].result, by_id[one].created_at),
        key=f"risk result {study.id} {stored[0].id}",
        label_visibility="collapsed",
        width=520,
    )
    with st.popover("About this result"):
        st.markdown(plain(made_words(by_id[number].result)))
        if action_button("Remove this result", icon=":material/delete:", key=f"risk remove {number}"):
            st.session_state["risk remove"] = number
            st.rerun()
    return by_id[number]


def show_warnings(study: Study, model: ModelChoice | None, one: StoredRisk | None, notes: Sequence[str] = ()) -> None:
    """Say of each simulated model on the screen that it is one, and what else came with the result."""
    named = [model.name] if model is not None and model.simulated else []
    named += [one.model] if one is not None and one.result.trained_on == SIMULATED else []
    marked = [simulated_warning(name, simulated_recording=study.simulated) for name in dict.fromkeys(named)]
    others = [note for note in (*(one.result.warnings if one is not None else ()), *notes) if note not in marked]
    if not study.simulated:  # what it says of a real night means nothing: that is more than a remark
        for warning in marked:
            st.warning(plain(warning))
        marked = []
    if marked or others:
        st.caption("  \n".join(f":material/warning: {plain(note)}" for note in (*marked, *others)))


def show_one_night(library: Library, top: DeltaGenerator) -> None:
    """Draw the view of one night; `top` is the row of the page's views, where the results are chosen."""
    if (gone := st.session_state.pop("risk remove", None)) is not None:
        remove(library, gone)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="risk-ask"):
        study = choose_study(library)
        if study is None:
            return
        running = next(iter(library.jobs.list(states=OPEN_STATES, kinds=("risk",), subject=study.id, limit=1)), None)
        choices = model_choices(Shelf(library.home.models))
        model = show_assess(library, study, choices, running)
    stored = risks(library, study.id)
    show_notices(library, study, choices, stored, model=model, running=running)
    if not stored:
        show_warnings(study, model, None)
        return
    with top:
        one = choose_result(study, stored)
    assessment, notes = read_beside(library, one.result)
    show_warnings(study, model, one, notes)
    scorings = library.scorings(study.id)
    stages = shown_at_first(scorings)[0].scoring.stages if scorings else None
    show_result(assessment, study, stages, number=one.id)


def show_several(library: Library) -> None:
    """Draw the view that compares nights, beginning with the one that was looked at last."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    if not ids:
        say_no_studies()
        return
    last = st.query_params.get("study") or st.session_state.get(STUDY)
    show_compare(library, ids, last if last in ids else ids[0])


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    st.html(TIGHT)
    if not accept_notice():
        return
    top = st.container(horizontal=True, vertical_alignment="center", gap="small", key="risk-views")
    view = top.segmented_control(
        "View",
        (ONE_NIGHT, COMPARE, COHORT),
        default=ONE_NIGHT,
        required=True,
        key="risk view",
        label_visibility="collapsed",
        persist_state="session",
    )
    with Library.open() as library:
        try:
            if view == ONE_NIGHT:
                show_one_night(library, top)
            elif view == COMPARE:
                show_several(library)
            else:
                show_cohort(library)
        except SleepFMError as error:  # a file of the library or the shelf is damaged: the line names it
            st.error(plain(str(error)))
    st.caption("Research use. Nothing here is a diagnosis; a change of the score is not a cause.")


main()
