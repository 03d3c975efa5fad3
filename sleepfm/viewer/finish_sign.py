"""Sign-off of a scoring: how far it is, who stands behind it, and the buttons that lock and reopen it."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.library.events_by_hand import EventsByHand, events_by_hand
from sleepfm.library.library import Library
from sleepfm.library.review_log import last_of, log_entries
from sleepfm.library.review_standing import scored_by_hand
from sleepfm.library.review_states import is_as_signed, mark_reviewed, reopen, sign
from sleepfm.library.reviews import Review, ReviewDocument, ReviewState, document, file_trouble, reviews_of
from sleepfm.library.study import Study
from sleepfm.text import plain
from sleepfm.viewer.finish_acts import act, refuse, show_said
from sleepfm.viewer.finish_away import ask_to_put_away, show_put_away
from sleepfm.viewer.finish_log import show_log
from sleepfm.viewer.role_widgets import action_button, may
from sleepfm.viewer.signed_in import User, current_user
from sleepfm.vocabulary import Stage

CONFIRMATION = "I have reviewed this scoring"
_CONFIRMED = "scoring confirmed"
_TRIES = "passwords tried for a signature"


def show_sign_off(library: Library, study: Study, scoring: int) -> None:
    """Draw the sign-off of one scoring of a study; of an engine's, why there is none."""
    show_said()
    if scoring not in {one.scoring for one in reviews_of(library, study.id)}:
        st.info("Only a person's scoring can be signed: begin one with Score on the Review page.", icon=":material/edit:")
        st.page_link("pages/review.py", label="To the Review page", query_params={"study": study.id})
        show_put_away(library, study.id)
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
    ask_to_put_away(library, content.review)
    show_put_away(library, study.id)
    show_log(library, content)


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
    _say_what_undid_it(library, about, sure=sure)
    user = current_user()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input(
            "Your name as it is printed",
            value=user.name,
            key=f"signer {about.scoring}",
            max_chars=60,
            disabled=not may(Role.SCORER),
            help="On the report beside your account, which is accountable and stands in the log.",
            width=300,
        )
        password = _ask_for_password(library, about, user)
        if about.state is ReviewState.OPEN and action_button("Mark as reviewed", key=f"mark {about.scoring}", disabled=not sure):
            st.session_state.pop(_CONFIRMED, None)
            act(
                "Marked as reviewed: the scoring is locked.",
                lambda by: mark_reviewed(library, about.scoring, user=by, seen=about.version),
            )
        if action_button("Sign", type="primary", key=f"sign {about.scoring}", disabled=not sure, icon=":material/draw:"):
            st.session_state.pop(_CONFIRMED, None)
            if password is not None:
                _require_password(library, about, user, password)
            act(
                "Signed: the scoring is locked.",
                lambda by: sign(library, about.scoring, user=by, name=name, seen=about.version),
            )
    st.caption(
        f"Marking and signing lock the scoring; reopening it asks for a reason. Both are logged.{_who_signs(user, password)}"
    )


def _say_what_undid_it(library: Library, about: Review, *, sure: bool) -> None:
    """Say why somebody's confirmation is gone: what they confirmed is not what stands there any more."""
    if sure:
        st.session_state[_CONFIRMED] = (about.scoring, about.version)
        return
    scoring, version = st.session_state.get(_CONFIRMED, (None, about.version))
    if version == about.version:  # they took it back themselves
        st.session_state.pop(_CONFIRMED, None)
    elif scoring == about.scoring:
        last = log_entries(library, about.scoring, limit=1)
        by = f" by {last[0].user}" if last else ""
        st.warning(plain(f"The scoring was changed{by} since you confirmed it: look at it again, then confirm anew."))


def _ask_for_password(library: Library, about: Review, user: User) -> str | None:
    """Ask those who sign in with a password for it; None where there is none to ask for."""
    account = None if user.local else Accounts(library.connection).find(user.name)
    if account is None or not account.has_password:
        return None
    tries = st.session_state.get(_TRIES, 0)  # what was typed is gone with the next try
    return str(
        st.text_input(
            "Your password, to sign",
            key=f"password {about.scoring} {about.version} {tries}",
            type="password",
            autocomplete="current-password",
            disabled=not may(Role.SCORER),
            width=220,
        )
    )


def _require_password(library: Library, about: Review, user: User, password: str) -> None:
    """End the run where a password is not its user's: wrong ones count as on the sign-in page, and lock the account as there."""
    if not password:
        refuse("Not signed: type your password as well.")
    st.session_state[_TRIES] = st.session_state.get(_TRIES, 0) + 1
    if Accounts(library.connection).sign_in(user.name, password) is None:
        record(library.connection, user.name, "sign review: refused", about.study, {"scoring": about.scoring, "why": "password"})
        refuse("Not signed: the password is not right, or the account is locked for a while after wrong ones.")


def _who_signs(user: User, password: str | None) -> str:
    """Return what stands for the signer where no password can be asked for."""
    if password is not None:
        return ""
    if user.local:
        return " This app has one local user and no passwords: whoever uses this machine's account signs."
    return " You sign in through your site's identity provider, which keeps your password: your session here stands for you."


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
            act(
                "Reopened: the scoring can be edited on the Review page.",
                lambda user: reopen(library, about.scoring, user=user, reason=reason, admin=admin),
            )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
