from __future__ import annotations

import streamlit as st

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.passwords import LEAST_CHARACTERS
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.text import plain
from sleepfm.viewer.signed_in import ROLE_WORDS, current_session, require, sign_out


def change_password(name: str) -> None:
    """Offer another password to somebody who signs in with one."""
    with st.form("password", border=True, clear_on_submit=True):
        st.markdown("**Change the password**")
        old = st.text_input("Password now", type="password", autocomplete="current-password")
        new = st.text_input(
            "New password",
            type="password",
            autocomplete="new-password",
            help=f"At least {LEAST_CHARACTERS} characters; a few words do well.",
        )
        again = st.text_input("New password once more", type="password", autocomplete="new-password")
        if not st.form_submit_button("Change it"):
            return
    if new != again:
        st.error("The two new passwords differ; nothing was changed.")
        return
    with Library.open() as library:
        accounts = Accounts(library.connection)
        try:
            if accounts.sign_in(name, old) is None:
                st.error("The password now is not right, or the account is locked for a while; nothing was changed.")
            else:
                accounts.set_password(name, new, by=name)  # ends this session too: the next message leads to the sign-in page
        except SleepFMError as error:
            st.error(plain(str(error)))


def main() -> None:
    """Draw the page."""
    user = require(Role.VIEWER)
    session = current_session()
    st.subheader(plain(user.name), anchor=False)
    st.markdown(f"Role **{user.role}**: {ROLE_WORDS[user.role]}.")
    if session is None:
        st.caption("This app answers only on this machine, for its one user.")
        return
    st.caption(
        f"This sign-in ends at {session.ends_at.astimezone():%H:%M on %d %B %Y} at the latest, or after two hours without use."
    )
    if st.button("Sign out", type="primary", icon=":material/logout:"):
        sign_out()
    with Library.open() as library:
        account = Accounts(library.connection).find(user.name)
    if account is not None and account.has_password:
        with st.container(width=420):
            change_password(user.name)


main()
