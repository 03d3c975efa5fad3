"""Settings: the version, where things are, and a bundle for whoever helps."""

from __future__ import annotations

import platform
import shutil
import zipfile
from pathlib import Path

import streamlit as st

from sleepfm import __version__
from sleepfm.administration.safety_jobs import diagnostics_bundles, submit_diagnostics
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.text import plain, size_words
from sleepfm.viewer.settings_actions import act, show_job
from sleepfm.viewer.settings_backup import show_file_line


def show_about(library: Library) -> None:
    """Show versions and places, and make a diagnostics bundle."""
    disk = shutil.disk_usage(library.home.root)
    st.table({
        "SleepFM Workbench": plain(__version__),
        "Python": plain(platform.python_version()),
        "Home folder": plain(str(library.home.root)),
        "Free on its disk": plain(f"{size_words(disk.free)} of {size_words(disk.total)}"),
        "Studies": str(library.count()),
    })  # fmt: skip
    st.subheader("Diagnostics", anchor=False)
    st.caption(
        "Versions, machine, settings, how many of everything, and the messages of jobs that failed. Names, ids, paths, dates and"
        " numbers are taken out of the messages. Nothing is sent anywhere: look it through, then send it yourself."
    )
    if not show_job(library, "diagnostics", lambda _job: None) and st.button(
        "Make a bundle", icon=":material/medical_information:"
    ):
        act(
            library,
            "make diagnostics",
            "",
            "The bundle is being made.",
            lambda user: submit_diagnostics(library.home, submitted_by=user.name),
        )
    for file in diagnostics_bundles(library.home):
        if show_file_line("diagnostics", file):
            _delete(library, file)
        with st.expander("Look through it"):
            for name, text in bundle_texts(file).items():
                st.markdown(f"**{plain(name)}**")
                st.code(text, language=None, height=220 if len(text) > 800 else None)


def bundle_texts(file: Path) -> dict[str, str]:
    """Return the texts of a bundle by name; SleepFMError when it is damaged."""
    try:
        with zipfile.ZipFile(file) as bundle:
            return {name: bundle.read(name).decode() for name in bundle.namelist()}
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise SleepFMError(f"{file}: cannot be read ({error}); delete it and make another") from None


def _delete(library: Library, file: Path) -> None:
    act(library, "delete diagnostics", file.name, f"{file.name} is deleted.", lambda _user: file.unlink(missing_ok=True))
