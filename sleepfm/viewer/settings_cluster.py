"""Settings: how the app reaches a Slurm cluster."""

from __future__ import annotations

import shutil

import streamlit as st

from sleepfm.administration.app_settings import AppSettings
from sleepfm.library.library import Library
from sleepfm.runs.launchers.cluster_settings import ClusterSettings
from sleepfm.text import plain
from sleepfm.viewer.form_draft import Draft, read_draft
from sleepfm.viewer.form_fields import FieldDrawer
from sleepfm.viewer.settings_actions import change

_DRAFT = "settings cluster"


def show_cluster(library: Library, settings: AppSettings) -> None:
    """Show the cluster's settings as a form."""
    missing = [name for name in ("sbatch", "squeue", "scancel", "sacct") if shutil.which(name) is None]
    st.caption(
        "Training runs, conversions and embeddings can be handed to Slurm when one machine is not enough."
        + (plain(f" This machine lacks {', '.join(missing)}: install Slurm's client tools first.") if missing else "")
    )
    stored = settings.cluster.model_dump(mode="json")
    state = st.session_state
    if _DRAFT not in state or state[f"{_DRAFT} stored"] != stored:  # first visit, or somebody else changed them
        state[_DRAFT] = Draft("settings-cluster", ClusterSettings)
        state[_DRAFT].fill(stored)
        state[f"{_DRAFT} stored"] = stored
    draft: Draft = state[_DRAFT]
    read, problems = read_draft(ClusterSettings, draft.content)
    FieldDrawer(draft, problems).settings(ClusterSettings, columns=3)
    save, undo = st.columns([1, 7])
    changed = draft.content != stored
    if save.button("Save", type="primary", disabled=read is None or not changed):
        differs = [name for name in stored if draft.content.get(name) != stored[name]]
        said = "Saved; jobs that are handed to the cluster from now on use it."
        change(library, "cluster", said, detail={"changed": differs}, cluster=read)  # set-up lines may hold a token
    if undo.button("Undo", disabled=not changed):
        draft.fill(stored)
        st.rerun()
