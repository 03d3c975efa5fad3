"""The part of the Settings page about people: who may sign in, and the audit log."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import streamlit as st

from sleepfm.administration.accounts import Account, Accounts
from sleepfm.administration.audit import AuditEntry, count, entries
from sleepfm.administration.passwords import LEAST_CHARACTERS
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.text import plain, printable
from sleepfm.viewer.signed_in import ROLE_WORDS, User, require

_PASSWORD, _PROVIDER = "Password", "Identity provider"
_LINES = 50
_MOST_EXPORTED = 100_000


def show_users_and_audit(user: User) -> None:
    """Show the users and the audit log to an admin; the page ends here for anybody else."""
    require(Role.ADMIN)
    with Library.open() as library:
        st.subheader("Users", anchor=False)
        if user.local:
            st.caption(
                "On this machine's own address nobody signs in. These people can when the app is started with"
                " `sleepfm app --address 0.0.0.0`."
            )
        _show_users(Accounts(library.connection), user)
        st.subheader("Audit log", anchor=False)
        _show_audit(library)


def user_rows(accounts: Iterable[Account], now: datetime) -> list[dict[str, str]]:
    """Return the table of the users."""
    return [
        {
            "Name": printable(one.name),
            "Role": str(one.role),
            "Signs in with": _PASSWORD.lower() if one.has_password else _PROVIDER.lower(),
            "Locked": _locked_words(one, now),
            "Since": f"{one.created_at.astimezone():%Y-%m-%d}",
        }
        for one in accounts
    ]


def audit_rows(lines: Iterable[AuditEntry]) -> list[dict[str, str]]:
    """Return the table of the audit log."""
    return [
        {
            "When": f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
            "Who": printable(one.user),
            "What": printable(one.action),
            "To what": printable(one.subject),
            "Detail": printable(", ".join(f"{name}: {_short(value)}" for name, value in one.detail.items() if value is not None)),
        }
        for one in lines
    ]


def audit_csv(lines: Iterable[AuditEntry]) -> str:
    """Return the audit log as CSV, times in UTC."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "at", "user", "action", "subject", "detail"))
    for one in lines:
        fields = (one.user, one.action, one.subject, json.dumps(one.detail, sort_keys=True, ensure_ascii=False))
        writer.writerow((one.id, one.at.isoformat(), *map(_no_formula, fields)))
    return text.getvalue()


def _show_users(accounts: Accounts, user: User) -> None:
    listed = accounts.list()
    for kind, words in st.session_state.pop("users said", []):
        (st.error if kind == "error" else st.success)(plain(words))
    if listed:
        st.dataframe(user_rows(listed, datetime.now(UTC)), hide_index=True)
    else:
        st.info("Nobody can sign in yet.", icon=":material/person_off:")
    with st.container(horizontal=True):
        with st.popover("Add a user", icon=":material/person_add:"):
            _add_form(accounts, user)
        if listed:
            with st.popover("Change a user", icon=":material/manage_accounts:"):
                _change_form(accounts, listed, user)


def _add_form(accounts: Accounts, user: User) -> None:
    way = st.radio("Signs in with", (_PASSWORD, _PROVIDER), horizontal=True, key="user way")
    with st.form("add user", border=False, clear_on_submit=True):
        name = st.text_input("Name or e-mail" if way == _PASSWORD else "E-mail address", autocomplete="off")
        role = _role_choice("add user role", Role.VIEWER)
        password = _password_field("add user password") if way == _PASSWORD else None
        if st.form_submit_button("Add", type="primary"):
            _do(f"{name.strip().lower()} may sign in as {role}.", lambda: accounts.add(name, role, password, by=user.name))


def _change_form(accounts: Accounts, listed: list[Account], user: User) -> None:
    name = st.selectbox("User", [one.name for one in listed], format_func=printable, key="user to change")
    account = next(one for one in listed if one.name == name)
    if account.name == user.name and not user.local:
        st.caption("This is you: every change signs you out.")
    role = _role_choice(f"role of {name}", account.role)
    if st.button("Set the role", disabled=role is account.role):
        _do(f"{name} is {role} now and was signed out everywhere.", lambda: accounts.set_role(name, role, by=user.name))
    with st.form("password of user", border=False, clear_on_submit=True):
        password = _password_field(f"password of {name}")
        if st.form_submit_button("Set the password"):
            _do(
                f"{name} has a new password and was signed out everywhere.",
                lambda: accounts.set_password(name, password, by=user.name),
            )
    sure = st.checkbox(f"Take {plain(name)} off the list", key=f"sure {name}")
    if st.button("Remove", disabled=not sure, icon=":material/delete:"):
        _do(f"{name} was removed and signed out everywhere.", lambda: accounts.remove(name, by=user.name))


def _role_choice(key: str, current: Role) -> Role:
    roles = list(Role)
    words = "  \n".join(f"**{role}** {ROLE_WORDS[role]}" for role in roles)
    return st.selectbox("Role", roles, index=roles.index(current), key=key, format_func=str, help=words)


def _password_field(key: str) -> str:
    return st.text_input(
        "Password",
        type="password",
        autocomplete="new-password",
        key=key,
        help=f"At least {LEAST_CHARACTERS} characters; a few words do well. Tell it to them in person.",
    )


def _do(said: str, action: Callable[[], object]) -> None:
    """Do it, and say on the next run how it went."""
    require(Role.ADMIN)
    try:
        action()
    except SleepFMError as error:
        st.session_state["users said"] = [("error", str(error))]
    else:
        st.session_state["users said"] = [("success", said)]
    st.rerun()


def _show_audit(library: Library) -> None:
    total = count(library.connection)
    if not total:
        st.caption("Nothing yet: what admins do and who signs in is written here and never changed.")
        return
    pages = -(-total // _LINES)
    page = st.number_input("Page of the log, the newest first", 1, pages, 1, width=220) if pages > 1 else 1
    st.dataframe(audit_rows(entries(library.connection, limit=_LINES, offset=(int(page) - 1) * _LINES)), hide_index=True)
    st.caption(f"{total:,} lines; the database refuses to change or delete any of them.")
    st.download_button(
        "CSV",
        lambda: audit_csv(_all_lines()),
        f"sleepfm_audit_{datetime.now(UTC):%Y%m%d}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _all_lines() -> list[AuditEntry]:
    with Library.open() as library:
        return entries(library.connection, limit=_MOST_EXPORTED)


def _locked_words(account: Account, now: datetime) -> str:
    if account.locked_until is not None and account.locked_until > now:
        return f"until {account.locked_until.astimezone():%H:%M:%S} ({account.failures} wrong passwords)"
    return ""


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _no_formula(text: str) -> str:
    """Keep a spreadsheet from computing what somebody chose as a name."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
