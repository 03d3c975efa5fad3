"""Settings: backups of the home folder, and bringing one back."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

import streamlit as st

from sleepfm.administration.identity_provider import SECRETS_FILE
from sleepfm.administration.safety_jobs import backups, submit_backup, submit_restore
from sleepfm.library.library import Library
from sleepfm.runs.table import Job
from sleepfm.text import plain, printable, size_words
from sleepfm.viewer.settings_actions import act, show_job
from sleepfm.viewer.settings_routes import KEPT_PATH
from sleepfm.viewer.words import duration_words

_OTHER = "another file …"


def show_backup(library: Library) -> None:
    """Show the backups that are there, make one, bring one back."""
    st.caption(
        "One file with the library, uploads, scorings, models, runs, users and settings, made while everybody works on."
        " Recordings that were added by their path stay where they are and are not in it, nor is what the app needs of"
        f" the identity provider ({SECRETS_FILE}). It holds patients' data and the users' hashed passwords: keep it as safe as"
        " the library."
    )
    everything = st.checkbox(
        "Also what can be made again",
        help="Converted signals, embeddings, indexes, maps and datasets: much larger, but nothing is left to compute afterwards",
    )
    going = show_job(library, "backup", _show_backed_up)
    if not going and st.button("Back up now", type="primary", icon=":material/save:"):
        act(
            library,
            "back up",
            "",
            "The backup is being made.",
            lambda user: submit_backup(library.home, everything=everything, submitted_by=user.name),
            detail={"everything": everything},
        )
    files = backups(library.home)
    for file in files:
        _show_file(library, file)
    if not files and not going:
        st.info("No backup was made here yet. `sleepfm backup OUT` writes one to any place, for example every night.")
    st.subheader("Bring one back", anchor=False)
    _show_restore(library, files)


def download_link(sort: str, file: Path) -> str:
    """Return a link that downloads a file that the settings page made."""
    return f'<a href="{KEPT_PATH}/{sort}/{quote(file.name)}" download="{escape(file.name, quote=True)}">Download</a>'


def show_file_line(sort: str, file: Path) -> bool:
    """Show a file that the page made, with its download; return whether it is to be deleted."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return False
    words, link, remove = st.columns([8, 2, 2], vertical_alignment="center")
    made = datetime.fromtimestamp(stat.st_mtime).astimezone()
    words.markdown(plain(f"{file.name}  ·  {made:%Y-%m-%d %H:%M}  ·  {size_words(stat.st_size)}"))
    with link:
        st.html(download_link(sort, file))
    return remove.button("Delete", key=f"delete {file.name}")


def _show_file(library: Library, file: Path) -> None:
    if show_file_line("backups", file):
        st.session_state["backup to delete"] = file.name
    if st.session_state.get("backup to delete") == file.name:
        st.warning(plain(f"Delete {file.name}? It cannot be brought back."))
        yes, no = st.columns([2, 10])
        if no.button("Keep it"):
            del st.session_state["backup to delete"]
            st.rerun()
        if yes.button("Delete it", type="primary"):
            del st.session_state["backup to delete"]
            act(library, "delete backup", file.name, f"{file.name} is deleted.", lambda _user: file.unlink(missing_ok=True))


def _show_backed_up(job: Job) -> None:
    done = job.result or {}
    out = done["left_out"]
    left = f"; {size_words(out['derived_bytes'])} that can be made again left out" if out["derived"] else ""
    skipped = f"; links and odd names left out: {', '.join(out['skipped'][:3])}" if out["skipped"] else ""
    name, size = Path(done["path"]).name, size_words(done["bytes"])
    st.success(plain(f"{name}: {done['files']} files, {size}, in {duration_words(max(1.0, done['seconds']))}{left}{skipped}"))


def _show_restore(library: Library, files: list[Path]) -> None:
    st.caption(
        "Into a new folder, never over what is in use: every checksum first, then all of it or nothing. The app goes on with the"
        " home it has; start it with the other one to use it."
    )
    if show_job(library, "restore", _show_restored):
        return
    home = library.home.root
    chosen = st.selectbox("Backup", [*(file.name for file in files), _OTHER], format_func=printable)
    with st.form("restore", border=False):
        archive = next((str(file) for file in files if file.name == chosen), None)
        typed = None if archive else st.text_input("Its path", placeholder="/mnt/safe/sleepfm.tar")
        into = st.text_input("Into the new folder", value=str(home.with_name(f"{home.name}-restored")))
        if st.form_submit_button("Check and bring back"):
            source = archive or (typed or "").strip()
            if not source:
                st.error("Type the path of the backup.")
                return
            act(
                library,
                "restore a backup",
                into,
                "The backup is being checked.",
                lambda user: submit_restore(library.home, source, into, submitted_by=user.name),
                detail={"from": source},
            )


def _show_restored(job: Job) -> None:
    done = job.result or {}
    crashed = f"; jobs that were running then are marked crashed ({done['crashed']})" if done["crashed"] else ""
    waiting = f"; jobs that waited then are stopped ({done['stopped']})" if done["stopped"] else ""
    st.success(plain(f"In {done['home']} now: {done['studies']} studies, {done['files']} files{crashed}{waiting}. To use them:"))
    st.code(f"sleepfm app --home {_shell(done['home'])}", language=None)


def _shell(path: str) -> str:
    return f'"{path}"' if " " in path else path
