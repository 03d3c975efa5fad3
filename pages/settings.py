from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from sleepfm.administration.app_settings import AppSettings, change_settings, read_settings
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.text import plain
from sleepfm.viewer.settings_about import show_about
from sleepfm.viewer.settings_actions import act, show_said
from sleepfm.viewer.settings_backup import show_backup
from sleepfm.viewer.settings_cluster import show_cluster
from sleepfm.viewer.settings_general import show_compute, show_damaged, show_folders
from sleepfm.viewer.settings_tidy import show_tidy
from sleepfm.viewer.settings_uploads import show_uploads
from sleepfm.viewer.sign_in_admin import show_users_and_audit
from sleepfm.viewer.signed_in import User, require

SECTIONS = ("Compute", "Folders", "Cluster", "Users and audit", "Backup", "Tidying up", "About")
# what a damaged settings file does not stop
WITHOUT_SETTINGS = {"Users and audit", "Backup", "About"}


def show_people(library: Library, settings: AppSettings, user: User) -> None:
    """Show how long a sign-in lasts, the users, and the audit log."""
    with st.form("session", border=False):
        words, go = st.columns([3, 9], vertical_alignment="bottom")
        hours = words.number_input("A sign-in lasts (hours)", 0.25, 744.0, settings.session_hours, step=0.25)
        if go.form_submit_button("Save"):
            act(
                library,
                "change settings",
                "session length",
                "Saved; it holds for those who sign in from now on.",
                lambda _user: change_settings(library.home, session_hours=hours),
                detail={"session_hours": hours},
            )
    show_users_and_audit(user)


def show(section: str, library: Library, user: User) -> None:
    """Draw one section."""
    try:
        settings = read_settings(library.home)
    except SleepFMError as error:
        show_damaged(library, str(error), user)
        if section not in WITHOUT_SETTINGS:
            return
        settings = AppSettings()

    def folders() -> None:
        show_folders(library, settings, user)
        show_uploads(library, settings)

    draw: dict[str, Callable[[], None]] = {
        "Compute": lambda: show_compute(library, settings),
        "Folders": folders,
        "Cluster": lambda: show_cluster(library, settings),
        "Users and audit": lambda: show_people(library, settings, user),
        "Backup": lambda: show_backup(library),
        "Tidying up": lambda: show_tidy(library, settings),
        "About": lambda: show_about(library),
    }
    draw[section]()


def main() -> None:
    """Draw the page."""
    user = require(Role.ADMIN)
    asked = st.query_params.get("section")
    section = st.segmented_control(
        "Section",
        SECTIONS,
        default=asked if asked in SECTIONS else SECTIONS[0],
        required=True,
        label_visibility="collapsed",
        key="settings section",
    )
    st.query_params["section"] = section
    with Library.open() as library:
        show_said()
        try:
            show(section, library, user)
        except SleepFMError as error:
            st.error(plain(str(error)))


main()
