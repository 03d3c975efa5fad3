"""The log of a review on the Finish page: searched, paged, and taken along whole."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import streamlit as st

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.review_log import LogEntry, event_words, log_count, log_csv, log_entries, log_json, log_names
from sleepfm.library.reviews import Review, ReviewDocument
from sleepfm.text import plain, printable
from sleepfm.viewer.role_widgets import export_button
from sleepfm.vocabulary import STAGE_SHORT, Stage

ROWS = 50
"""Entries of the log on a page."""
_CHANGES_SHOWN = 3
_HASH = re.compile(r"(sha256 [0-9a-f]{12})[0-9a-f]+")
"""In the note of a signature: its beginning is shown, the files of the log have all of it."""
_EVERYBODY, _EVERYTHING = "everybody", "everything"


def show_log(library: Library, content: ReviewDocument) -> None:
    """Draw a review's log, with what finds entries in it."""
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
