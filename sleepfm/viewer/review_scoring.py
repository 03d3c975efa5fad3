"""Who scores on the review page: beginning a review, going on with one, and why the keys score nothing where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_begin import begin
from sleepfm.library.study import Study, StudyStatus
from sleepfm.text import plain, printable
from sleepfm.viewer.role_widgets import action_button, may
from sleepfm.viewer.scoring_choice import shown_at_first
from sleepfm.viewer.signed_in import current_user, require

REFUSED = "review refused"
"""Where the page finds what went wrong when somebody pressed a button."""
_SAID = "review said"
_NOTHING = 0
"""Stands for no scoring among the numbers of scorings."""
_WANTED = "hypnograms wanted"
_JOINED = "reviews begun here"


def choose_scorings(study: Study, stored: Sequence[StoredScoring]) -> list[StoredScoring]:
    """Let the user choose the upper and the lower hypnogram."""
    if not stored:
        return []
    wanted = st.session_state.pop(_WANTED, None)
    first, below = shown_at_first(stored)
    by_id = {one.id: one for one in stored}
    names = {one.id: printable(one.label) for one in stored}
    ids = list(by_id)
    seen = f"{study.id} {ids}"  # a new scoring is shown at once
    upper_key, lower_key = f"upper of {seen}", f"lower of {seen}"
    # what is chosen is said by its key alone: another `index` would make it another box, which forgets
    if wanted is not None and wanted[0] in by_id:
        st.session_state[upper_key], st.session_state[lower_key] = wanted
    elif upper_key not in st.session_state:
        st.session_state[upper_key] = first.id
    upper = st.selectbox(
        "Upper hypnogram", ids, key=upper_key, format_func=names.__getitem__, label_visibility="collapsed", width=150
    )
    if len(stored) == 1:
        return [by_id[upper]]
    others = [None, *(one for one in ids if one != upper)]
    if lower_key not in st.session_state or st.session_state[lower_key] not in others:
        proposal = below.id if below is not None else _begun_from(by_id[upper])
        st.session_state[lower_key] = proposal if proposal in others else None
    lower = st.selectbox(
        "Lower hypnogram",
        others,
        key=lower_key,
        format_func=lambda one: "compare with …" if one is None else names[one],
        placeholder="compare with …",
        label_visibility="collapsed",
        width=150,
    )
    return [by_id[upper]] if lower is None else [by_id[upper], by_id[lower]]


def show_score_button(library: Library, study: Study, stored: Sequence[StoredScoring], shown: Sequence[StoredScoring]) -> str:
    """Offer to score, or to go on; returns why the keys score nothing while that has not been pressed."""
    name = current_user().name
    own = next((one for one in stored if one.by_person and one.model == name), None)
    if own is not None and shown and shown[0].id == own.id:
        return ""
    if own is not None:
        if action_button("Go on scoring", type="primary"):
            go_on_scoring(own)
        words = "Go on scoring"
    else:
        busy = study.status in (StudyStatus.MISSING, StudyStatus.CHANGED)
        if action_button("Score", type="primary" if stored else "secondary", disabled=busy):
            start_own_review(library, study.id, shown[0] if shown else None)
        words = "Score"
    if not may(Role.SCORER):
        return f"You look and do not score here: that asks for the role “{Role.SCORER}”."
    return f"Press “{words}” above to score this night yourself; what an engine said is never changed."


def go_on_scoring(own: StoredScoring) -> None:
    """Show this user's review above what it began from."""
    _show(own.id, _begun_from(own))


def start_own_review(library: Library, study_id: str, base: StoredScoring | None) -> None:
    """Begin a review under this user's own name."""
    begin_review(library, study_id, current_user().name, base)


def begin_review(library: Library, study_id: str, scorer: str, base: StoredScoring | None) -> None:
    """Begin a review from a scoring (or from nothing), or go on with this scorer's, and show it above what it began from."""
    try:
        number = begin(library, study_id, scorer=scorer, user=current_user().name, base=None if base is None else base.id)
    except SleepFMError as error:
        st.session_state[REFUSED] = str(error)
        st.rerun()
    _show(number, None if base is None else base.id)


@st.dialog("Another scorer, or from nothing")
def other_scorer_dialog(study_id: str, shown: Sequence[int]) -> None:
    """Begin a review under another name, or from nothing."""
    require(Role.SCORER)
    with Library.open() as library:
        stored = {one.id: one for one in library.scorings(study_id)}
        names = {one: printable(scoring.label) for one, scoring in stored.items()}
        scorer = st.text_input("Score under the name", value="consensus", max_chars=60)
        bases = [*(one for one in shown if one in stored), *(one for one in stored if one not in shown), _NOTHING]
        base = st.selectbox("Starting from", bases, format_func=lambda one: names.get(one, "nothing: every epoch not scored"))
        st.caption("Who begins under a name that is there already goes on with that scoring.")
        if action_button("Begin", type="primary", disabled=not scorer.strip()):
            begin_review(library, study_id, scorer.strip(), stored.get(base))


def show_below(upper: int | None, added: int) -> None:
    """Show a scoring that was just added below the one that is looked at; alone where there is none."""
    st.session_state[_WANTED] = (added, None) if upper is None else (upper, added)


def say(text: str) -> None:
    """Have the next run of the page say what was done, beside what it shows."""
    st.session_state[_SAID] = text


def show_said() -> None:
    """Say what was done, or why it was not, where it moves nothing on the screen."""
    if (said := st.session_state.pop(_SAID, None)) is not None:
        st.toast(plain(said), icon=":material/check_circle:")
    if (refused := st.session_state.pop(REFUSED, None)) is not None:
        st.toast(plain(refused), icon=":material/error:", duration="long")


def joined_reviews() -> set[int]:
    """Return the reviews that were begun, or gone on with, on this page."""
    found: set[int] = st.session_state.get(_JOINED, set())
    return found


def _begun_from(scoring: StoredScoring) -> int | None:
    base = scoring.provenance.get("base") if scoring.by_person else None
    return None if not base else base.get("id")


def _show(upper: int, lower: int | None) -> None:
    st.session_state[_WANTED] = (upper, lower)
    st.session_state[_JOINED] = {*joined_reviews(), upper}
    st.rerun()
