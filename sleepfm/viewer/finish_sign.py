"""Sign-off of a scoring: how far it is, who stands behind it, the buttons that lock and reopen it, and its log."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pandas as pd
import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.library.events_by_hand import EventsByHand, events_by_hand
from sleepfm.library.library import Library
from sleepfm.library.review_log import (
    LogEntry,
    event_words,
    last_of,
    log_count,
    log_csv,
    log_entries,
    log_json,
    log_names,
)
from sleepfm.library.review_standing import scored_by_hand
from sleepfm.library.review_states import is_as_signed, mark_reviewed, reopen, sign
from sleepfm.library.reviews import Review, ReviewDocument, ReviewState, document, file_trouble, reviews_of
from sleepfm.library.study import Study
from sleepfm.text import plain, printable
from sleepfm.viewer.role_widgets import action_button, export_button, may
from sleepfm.viewer.signed_in import current_user, require
from sleepfm.vocabulary import STAGE_SHORT, Stage

CONFIRMATION = "I have reviewed this scoring"
ROWS = 50
"""Entries of the log on a page."""
_CHANGES_SHOWN = 3
_HASH = re.compile(r"(sha256 [0-9a-f]{12})[0-9a-f]+")
"""In the note of a signature: its beginning is shown, the files of the log have all of it."""
_SAID = "sign-off said"
_EVERYBODY, _EVERYTHING = "everybody", "everything"


def show_sign_off(library: Library, study: Study, scoring: int) -> None:
    """Draw the sign-off of one scoring of a study; of an engine's, why there is none."""
    kind, said = st.session_state.pop(_SAID, ("", ""))
    if said:
        (st.error if kind == "error" else st.success)(plain(said))
    if scoring not in {one.scoring for one in reviews_of(library, study.id)}:
        st.info("Only a person's scoring can be signed: begin one with Score on the Review page.", icon=":material/edit:")
        st.page_link("pages/review.py", label="To the Review page", query_params={"study": study.id})
        return
    content = document(library, scoring)
    _show_state(library, content)
    trouble = file_trouble(library, content.review)
    if trouble:
        st.error(plain(trouble))
    for remark in remarks(content, int(scored_by_hand(library.connection, scoring).sum()), events_by_hand(library, content)):
        st.markdown(f":material/info: {plain(remark)}")
    if content.review.state is not ReviewState.SIGNED and not trouble:
        _ask_to_lock(library, content.review)
    if content.review.state is not ReviewState.OPEN:
        _ask_to_reopen(library, content.review)
    _show_log(library, content)


# how far it is


def _show_state(library: Library, content: ReviewDocument) -> None:
    about = content.review
    begun = f"Begun from {about.proposal}" if about.proposal else "Begun from nothing"
    if about.state is ReviewState.OPEN:
        st.markdown(plain(f"Open: {about.scorer}'s scoring can be edited. {begun}, last change {_moment(about.changed_at)}."))
        return
    if about.state is ReviewState.REVIEWED:
        marked = last_of(library, about.scoring, "mark as reviewed")
        who = "" if marked is None else f" by {marked.user}, {_moment(marked.at)}"
        st.markdown(plain(f"Marked as reviewed{who}. {begun}. Locked until it is reopened."))
        return
    signed_at = "" if about.signed_at is None else _moment(about.signed_at)
    st.markdown(plain(f"Signed by {about.signer}, {signed_at}. {begun}. Locked until it is reopened."))
    if is_as_signed(content):
        st.markdown(f":material/verified: The content is what was signed: sha256 `{about.signed_sha256}`")
    else:
        st.error(
            plain(
                f"The content is not what was signed (sha256 {about.signed_sha256}): somebody changed the library's file past"
                " this app. Compare with the exported log, then reopen and sign again."
            )
        )


def remarks(content: ReviewDocument, by_hand: int, events: EventsByHand) -> list[str]:
    """Return what the signer should know, each a sentence; nothing of it stands in the way.

    Parameters
    ----------
    by_hand
        Epochs whose stage a person set or confirmed.
    events
        What people did to the events.
    """
    unscored = int((content.stages == Stage.UNKNOWN).sum())
    changed = int((content.stages != content.proposed).sum())
    of_all = f"of {len(content.stages):,} epochs"
    found = [f"{unscored:,} {of_all} {'is' if unscored == 1 else 'are'} unscored."] if unscored else []
    if content.review.base is not None:
        found.append(
            f"{by_hand:,} {of_all} {'was' if by_hand == 1 else 'were'} set or confirmed by hand; {changed:,}"
            f" {'has' if changed == 1 else 'have'} another stage than the proposal."
        )
    if events.sentence:
        found.append(events.sentence)
    return [*found, *(f"{warning[:1].upper()}{warning[1:]}." for warning in content.review.warnings)]


# lock and reopen


def _ask_to_lock(library: Library, about: Review) -> None:
    # a change of the scoring asks anew
    sure = st.checkbox(CONFIRMATION, key=f"reviewed {about.scoring} {about.version}", disabled=not may(Role.SCORER))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input(
            "Your name as it is printed",
            value=current_user().name,
            key=f"signer {about.scoring}",
            max_chars=60,
            disabled=not may(Role.SCORER),
            help="On the report beside your account, which is accountable and stands in the log.",
            width=300,
        )
        if about.state is ReviewState.OPEN and action_button("Mark as reviewed", key=f"mark {about.scoring}", disabled=not sure):
            _act("Marked as reviewed: the scoring is locked.", lambda user: mark_reviewed(library, about.scoring, user=user))
        if action_button("Sign", type="primary", key=f"sign {about.scoring}", disabled=not sure, icon=":material/draw:"):
            _act("Signed: the scoring is locked.", lambda user: sign(library, about.scoring, user=user, name=name))
    st.caption("Marking and signing lock the scoring; reopening it asks for a reason. Both are logged.")


def _ask_to_reopen(library: Library, about: Review) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        reason = st.text_input(
            "Reason for reopening (Enter)",
            key=f"reason {about.scoring} {about.version}",
            max_chars=1000,
            disabled=not may(Role.SCORER),
            width=560,
        )
        if action_button("Reopen", key=f"reopen {about.scoring}", disabled=not reason.strip()):
            admin = may(Role.ADMIN)
            _act(
                "Reopened: the scoring can be edited on the Review page.",
                lambda user: reopen(library, about.scoring, user=user, reason=reason, admin=admin),
            )


def _act(said: str, does: Callable[[str], None]) -> None:
    """Do what a scorer may, and say how that went on the next run of the page."""
    user = require(Role.SCORER)
    try:
        does(user.name)
    except SleepFMError as error:
        st.session_state[_SAID] = ("error", str(error))
    else:
        st.session_state[_SAID] = ("success", said)
    st.rerun()


# the log


def _show_log(library: Library, content: ReviewDocument) -> None:
    about = content.review
    st.markdown("**Log**")
    users, actions = log_names(library, about.scoring)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        user = st.selectbox(
            "Who", (_EVERYBODY, *users), format_func=printable, key=f"log user {about.scoring}", width=170, filter_mode=None
        )
        action = st.selectbox("What", (_EVERYTHING, *actions), key=f"log action {about.scoring}", width=190, filter_mode=None)
        epochs = max(1, len(content.stages))
        epoch = st.number_input("Epoch", 1, epochs, None, placeholder="all", key=f"log epoch {about.scoring}", width=130)
        asked = {
            "user": "" if user == _EVERYBODY else user,
            "action": "" if action == _EVERYTHING else action,
        }
        count = log_count(library, about.scoring, **asked, epoch=epoch)
        pages = max(1, -(-count // ROWS))
        page = st.number_input(
            f"Page of {pages:,}", 1, pages, 1, key=f"log page {about.scoring} {asked} {epoch} {pages}", width=130
        )
        log_buttons(library.home, about)
    entries = log_entries(library, about.scoring, **asked, epoch=epoch, limit=ROWS, offset=(page - 1) * ROWS)
    if not entries:
        st.caption("No entry is of these.")
        return
    st.table(log_table(entries), border="horizontal", hide_index=True, alt="Log of the scoring")
    st.caption(plain(f"{count:,} entries, the newest first; times in UTC. Nothing is ever taken out of this log."))


def log_buttons(home: Home, about: Review) -> None:
    """Draw the buttons that take the whole log of a review along."""
    stem = f"{about.study}_{printable(about.scorer)}_log"
    for name, make, kind in (("CSV", log_csv, "text/csv"), ("JSON", log_json, "application/json")):
        export_button(
            f"Log as {name}",
            _made_when_asked(home, about.scoring, make),
            f"{stem}.{name.lower()}",
            kind,
            key=f"log {name} {about.scoring}",
            icon=":material/download:",
            on_click="ignore",
        )


def _made_when_asked(home: Home, scoring: int, make: Callable[[Library, int], bytes]) -> Callable[[], bytes]:
    """Return how to make a file of the log, which is long: by a connection of its own, when somebody wants it."""

    def made() -> bytes:
        with Library(home) as library:
            return make(library, scoring)

    return made


def log_table(entries: list[LogEntry]) -> pd.DataFrame:
    """Return entries as Markdown, a row each."""
    rows = [
        {
            "Entry": str(entry.id),
            "Time (UTC)": f"{entry.at:%Y-%m-%d %H:%M:%S}",
            "Who": plain(entry.user),
            "What": plain(entry.action if entry.concerns is None else f"{entry.action} of entry {entry.concerns}"),
            "From → to": plain(change_words(entry)),
            "Note": plain(_HASH.sub(r"\1…", entry.note) if entry.action == "sign" else entry.note),
        }
        for entry in entries
    ]
    return pd.DataFrame(rows)


def change_words(entry: LogEntry) -> str:
    """Return the first few changes of an entry in words, and how many more there are."""
    if entry.action == "begin":
        return f"{len(entry.patch.events):,} events taken over" if entry.patch.events else ""
    if len(entry.patch.events) > _CHANGES_SHOWN and not entry.patch.stages:
        return _in_sum(entry)
    stages = [
        f"epoch {epoch}: {STAGE_SHORT[Stage(before)]} → {STAGE_SHORT[Stage(after)]}" + (" (confirmed)" if before == after else "")
        for epoch, before, after in entry.patch.stages[:_CHANGES_SHOWN]
    ]
    events = [
        f"{event_words(before) or 'new'} → {event_words(after) or 'deleted'}"
        for _, before, after in entry.patch.events[: _CHANGES_SHOWN - len(stages)]
    ]
    shown = [*stages, *events]
    more = len(entry.patch) - len(shown)
    return "; ".join([*shown, *([f"and {more:,} more"] if more else [])])


def _in_sum(entry: LogEntry) -> str:
    """Return how many events are new, changed and deleted, where there are too many to name."""
    changes = [(before is not None, after is not None) for _, before, after in entry.patch.events]
    counts = {"new": (False, True), "changed": (True, True), "deleted": (True, False)}
    said = [f"{changes.count(kind):,} {word}" for word, kind in counts.items() if kind in changes]
    return f"events: {', '.join(said)}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
