"""What is new of a night's events: said above the viewer once, with the way to take them, until that is done or put away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.event_sets import StoredEvents, event_sets
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.reviews import ReviewState, review
from sleepfm.library.study import Study
from sleepfm.runs.table import JobState
from sleepfm.text import plain
from sleepfm.viewer.event_words import found_words
from sleepfm.viewer.review_scoring import REFUSED, go_on_scoring, joined_reviews, say, start_own_review
from sleepfm.viewer.role_widgets import action_button, may
from sleepfm.viewer.signed_in import current_user, require

_WAITING = "event jobs waited for"
_NEW = "new events"
_TAKEN = "event sets taken"


def announce(study_id: str, number: int, count: int) -> None:
    """Have the next run of the page say that a study has a new set of so many events."""
    st.session_state.setdefault(_NEW, {})[study_id] = (number, count)


def follow_events(library: Library, study: Study) -> None:
    """Remember that a study's events are being scored, and when they are, have it said; what failed the study says itself."""
    waiting: dict[str, str] = st.session_state.setdefault(_WAITING, {})
    last = next(iter(library.jobs.list(kinds=("events",), subject=study.id, limit=1)), None)
    if last is not None and last.open:
        waiting[study.id] = last.id
    elif last is not None and waiting.pop(study.id, None) == last.id and last.state is JobState.FINISHED:
        result: Mapping[str, Any] = last.result or {}
        announce(study.id, int(result["set"]), sum(result["counts"].values()))


def show_event_news(library: Library, study: Study, stored: Sequence[StoredScoring], shown: Sequence[StoredScoring]) -> None:
    """Say what was found, with a button that takes it into the scoring on the screen, or leads to one that can take it."""
    new: dict[str, tuple[int, int]] = st.session_state.get(_NEW, {})
    number, count = new.get(study.id, (None, 0))
    found = next((one for one in event_sets(library, study.id, read=False) if one.id == number), None)
    if found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices of new events"):
        st.markdown(f":material/notifications: {plain(found_words(found, count))}", width="content")
        if may(Role.SCORER):
            _offer(library, study, found, stored, shown)
        if st.button("Not now", key=f"not now {found.id}"):
            new.pop(study.id)
            st.rerun()


def taken_sets(study_id: str) -> int:
    """Return how many sets of events were taken here: the viewer reads the night again when it changes."""
    return int(st.session_state.get(_TAKEN, {}).get(study_id, 0))


def _offer(
    library: Library, study: Study, found: StoredEvents, stored: Sequence[StoredScoring], shown: Sequence[StoredScoring]
) -> None:
    name = current_user().name
    own = next((one for one in stored if one.by_person and one.model == name), None)
    target = next((one for one in shown[:1] if one.by_person and (one.model == name or one.id in joined_reviews())), None)
    if target is None and own is not None:
        if action_button("Go on scoring to take them", type="primary"):
            go_on_scoring(own)
    elif target is None:
        if action_button("Score first to take them", type="primary", help="Your scoring begins with these events."):
            st.session_state[_NEW].pop(study.id)
            start_own_review(library, study.id, shown[0] if shown else None)
    elif review(library, target.id).state is not ReviewState.OPEN:
        st.caption("Your scoring is locked: reopen it on the Finish page to take them.", width="content")
    elif action_button("Take them", type="primary", help="They replace the events of your scoring. Ctrl+Z brings those back."):
        _take(library, study, found, target)


def _take(library: Library, study: Study, found: StoredEvents, target: StoredScoring) -> None:
    user = require(Role.SCORER)
    edit = Edit(key=uuid4().hex, action="take events", events=found.id)
    try:
        outcome = apply_edits(library, target.id, [edit], user=user.name)
    except SleepFMError as error:
        st.session_state[REFUSED] = str(error)
        st.rerun()
    if outcome.refused:
        st.session_state[REFUSED] = f"Not taken: {outcome.conflict}"
        st.rerun()
    st.session_state[_NEW].pop(study.id, None)
    taken = st.session_state.setdefault(_TAKEN, {})
    taken[study.id] = taken.get(study.id, 0) + 1
    say(f"The events of {found.label} stand in your scoring.")
    st.rerun()
