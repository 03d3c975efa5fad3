"""On the Finish page: putting a scoring away with a reason, and what was put away of a study, to be brought back."""

from __future__ import annotations

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.library.review_away import bring_back, put_away, put_away_of, why_not_put_away
from sleepfm.library.reviews import Review
from sleepfm.text import plain
from sleepfm.viewer.finish_acts import act
from sleepfm.viewer.finish_log import log_buttons
from sleepfm.viewer.role_widgets import action_button, may
from sleepfm.viewer.signed_in import current_user


def ask_to_put_away(library: Library, about: Review) -> None:
    """Offer whoever may to put a scoring away."""
    if not may(Role.SCORER):
        return
    with st.expander("Put this scoring away", icon=":material/inventory_2:"):
        st.caption(
            "It is neither shown nor counted any more. Nothing of it is deleted: its log stays, and it can be brought back."
        )
        why_not = why_not_put_away(library, about, current_user().name, admin=may(Role.ADMIN))
        if why_not:
            st.markdown(plain(f"{why_not[:1].upper()}{why_not[1:]}."))
            return
        reason = _reason("Reason for putting it away (Enter)", f"away {about.scoring} {about.version}")
        if action_button("Put away", key=f"put away {about.scoring}", disabled=not reason.strip()):
            admin = may(Role.ADMIN)
            act(
                f"{about.scorer}'s scoring is put away.",
                lambda user: put_away(library, about.scoring, user=user, reason=reason, admin=admin),
            )


def show_put_away(library: Library, study: str) -> None:
    """Draw what was put away of a study; nothing where nothing was."""
    found = put_away_of(library, study)
    if not found:
        return
    with st.expander(f"Put away: {len(found)} {'scoring' if len(found) == 1 else 'scorings'}", icon=":material/inventory_2:"):
        for one in found:
            about = one.review
            st.markdown(plain(f"{about.scorer}'s scoring ({about.state}): {one.by}, {one.at:%Y-%m-%d %H:%M} UTC: {one.reason}"))
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                if may(Role.SCORER) and not why_not_put_away(library, about, current_user().name, admin=may(Role.ADMIN)):
                    _ask_to_bring_back(library, about)
                log_buttons(library.home, about)


def _ask_to_bring_back(library: Library, about: Review) -> None:
    reason = _reason("Reason for bringing it back (Enter)", f"back {about.scoring} {about.version}")
    if action_button("Bring back", key=f"bring back {about.scoring}", disabled=not reason.strip()):
        admin = may(Role.ADMIN)
        act(
            f"{about.scorer}'s scoring is back.",
            lambda user: bring_back(library, about.scoring, user=user, reason=reason, admin=admin),
        )


def _reason(label: str, key: str) -> str:
    return st.text_input(label, key=key, max_chars=1000, width=420)
