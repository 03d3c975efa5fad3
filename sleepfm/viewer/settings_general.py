"""Settings: where models run, and which folders the app may read."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from sleepfm.administration.app_settings import AppSettings, write_settings
from sleepfm.administration.readable_folders import ReadableFolders
from sleepfm.library.library import Library
from sleepfm.runs.devices import gpus
from sleepfm.runs.submitter import account_name
from sleepfm.text import plain
from sleepfm.viewer.settings_actions import act, change
from sleepfm.viewer.settings_words import folder_state, studies_outside
from sleepfm.viewer.signed_in import User

_DEVICES = {
    "auto": "GPU where there is one",
    "cpu": "Processor",
    "cuda": "GPU; without one jobs fail rather than run on the processor",
}
_PRECISIONS = {
    "fp32": "fp32, what the published figures were made with",
    "bf16": "bf16, half the memory; faster on GPUs made since 2020",
}
_SUGGESTED = 4


def show_compute(library: Library, settings: AppSettings) -> None:
    """Show device and precision."""
    there = len(gpus())
    st.caption(
        f"For staging, risk, embeddings and training, where a job does not say otherwise. This machine has"
        f" {'no GPU that can be used' if not there else f'{there} GPU' + ('s' if there > 1 else '')}."
    )
    with st.form("compute", border=False):
        device = st.radio("Device", list(_DEVICES), index=list(_DEVICES).index(settings.device), format_func=_DEVICES.__getitem__)
        precision = st.radio(
            "Precision",
            list(_PRECISIONS),
            index=list(_PRECISIONS).index(settings.precision),
            format_func=_PRECISIONS.__getitem__,
            help="Stagings and risks made in another precision are made anew when they are asked for again.",
        )
        if st.form_submit_button("Save", type="primary"):
            change(
                library, "device and precision", "Saved; jobs that start from now on use it.", device=device, precision=precision
            )
    if settings.device == "cuda" and not there:
        st.warning("Jobs will fail: this machine has no GPU that can be used. Choose another device.")


def show_folders(library: Library, settings: AppSettings, user: User) -> None:
    """Show the folders that the app may read, and change them."""
    account = account_name()
    if ReadableFolders.of(library.home).named is None:
        st.info(
            plain(
                f"The app may read every file that the account “{account}” may read. That is for an app which only this machine"
                " reaches; before others reach it, name the folders."
            ),
            icon=":material/folder_open:",
        )
        if st.button("Name the folders", type="primary"):
            change(library, "folders", "Only the folders below can be read now.", folders=[])
        return
    named = list(settings.folders or ())
    st.caption(
        "Recordings, scorings, tables and training data are read from these folders and those within them, and from nowhere else:"
        " links and “..” that lead out of them are refused. The command line is not held to it."
    )
    if not named:
        st.warning("No folder is named: only files that were uploaded, and what the app made itself, can be opened.")
    for folder in named:
        line, remove = st.columns([10, 2], vertical_alignment="center")
        wrong = folder_state(folder)
        line.markdown(f"**{plain(str(folder))}**" + (f"  \n:orange[{plain(wrong)}]" if wrong else ""))
        if remove.button(
            "Remove", key=f"remove {folder}", help=plain(f"Studies in {folder} stay in the list and are not opened")
        ):
            left = [str(one) for one in named if one != folder]
            change(library, "folders", f"{folder} is not read any more.", folders=left)
    _add_folder(library, named)
    _show_outside(library, named)
    if user.local:
        st.divider()
        if st.button(f"Let the app read everything that “{plain(account)}” may read"):
            change(library, "folders", "The app may read everything again.", folders=None)


def _add_folder(library: Library, named: list[Path]) -> None:
    with st.form("add folder", border=False, clear_on_submit=True):
        words, go = st.columns([10, 2], vertical_alignment="bottom")
        text = words.text_input("Folder to allow, its full path", placeholder="/data/psg")
        if go.form_submit_button("Allow", type="primary", width="stretch"):
            _allow(library, named, text.strip().strip('"'))


def _allow(library: Library, named: list[Path], text: str) -> None:
    folder = Path(text)
    if not folder.is_absolute():
        st.error(
            plain(f"“{text}” is not a full path: one that begins with / (on Windows with a drive).") if text else "Type a path."
        )
    elif not folder.is_dir():
        st.error(plain(f"{folder}: there is no such folder; check its spelling."))
    else:
        said = f"{folder} and what is within it can be read now."
        change(library, "folders", said, folders=[*(str(one) for one in named), str(folder)])


def _show_outside(library: Library, named: list[Path]) -> None:
    """Say which studies cannot be opened, and offer their folders."""
    paths = [row["path"] for row in library.connection.execute("SELECT path FROM studies")]
    outside = studies_outside(paths, ReadableFolders.of(library.home))
    if not outside:
        return
    total = sum(outside.values())
    st.warning(f"{total} of {len(paths)} studies of the library lie elsewhere and cannot be opened:")
    for folder, count in outside.most_common(_SUGGESTED):
        words, allow = st.columns([10, 2], vertical_alignment="center")
        words.markdown(plain(f"{folder}: {count} stud{'y' if count == 1 else 'ies'}"))
        if allow.button("Allow", key=f"allow {folder}"):
            _allow(library, named, str(folder))
    if len(outside) > _SUGGESTED:
        st.caption(f"and {len(outside) - _SUGGESTED} more folders")


def show_damaged(library: Library, error: str, user: User) -> None:
    """Say that the settings file cannot be read, and offer to begin anew with it kept."""
    st.error(plain(error))
    st.caption(
        "Until then no recording is opened, and nothing is staged: which folders may be read is not known."
        if user.local
        else "Until then nothing is opened. With the defaults no folder is named: name them afterwards."
    )
    if st.button("Keep the file under another name and use the defaults"):
        act(library, "set aside damaged settings", "", "The defaults are in use now.", lambda user: _set_aside(library, user))


def _set_aside(library: Library, user: User) -> None:
    file = library.home.settings_file
    number = 1
    while (aside := file.with_name(f"settings-damaged-{number}.json")).exists():
        number += 1
    file.rename(aside)
    if not user.local:  # others reach the app: what the defaults would open to them was never agreed to
        write_settings(library.home, AppSettings(folders=()))
