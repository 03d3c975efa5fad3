"""The configuration beside a form: to copy, to save, to bring back, and how it differs from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import BaseModel

from sleepfm.errors import SleepFMError
from sleepfm.text import plain, printable
from sleepfm.training.config_files import Difference, as_yaml, differences, read_text
from sleepfm.viewer.form_data import forget_source
from sleepfm.viewer.form_draft import Draft
from sleepfm.viewer.form_presets import given_names
from sleepfm.viewer.form_schema import text_of


def difference_rows(found: list[Difference]) -> list[dict[str, str]]:
    """Return differences as rows of a table; a group that only one has is one row a setting of it."""
    rows = []
    for one in found:
        for place, before, now in _leaves(one.place, one.before, one.now):
            rows.append({"Setting": ".".join(place), "Before": _short(before), "Now": _short(now)})
    return rows


def _leaves(place: tuple[str, ...], before: Any, now: Any) -> list[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, Mapping) or isinstance(now, Mapping):
        one, other = before if isinstance(before, Mapping) else {}, now if isinstance(now, Mapping) else {}
        keys = [*other, *(key for key in one if key not in other)]
        if keys:
            return [leaf for key in keys for leaf in _leaves((*place, key), one.get(key), other.get(key))]
    return [(place, before, now)]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return printable(", ".join(text_of(one) for one in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(text_of(value)) or "none"


def show_configuration(draft: Draft, settings: BaseModel | None, last: tuple[str, Mapping[str, Any]] | None) -> None:
    """Show the configuration as YAML, what brings another one back, and the differences.

    Parameters
    ----------
    settings
        What the form holds, None where something does not fit.
    last
        The last run of this kind: its name and settings in their JSON form.
    """
    now = draft.content if settings is None else settings.model_dump(mode="json")
    text = as_yaml(now)
    with st.expander("Configuration (YAML)", key=f"{draft.page} box yaml"):
        st.code(text, language="yaml", height=260)
        if settings is None:
            st.caption("Something does not fit yet: `sleepfm` would refuse this file.")
        st.download_button(
            "Save as file", text, f"{draft.content.get('name') or 'run'}.yaml", "text/yaml", icon=":material/download:",
            on_click="ignore", key=f"{draft.page} save",
        )  # fmt: skip
    with st.expander("Paste or open a configuration", key=f"{draft.page} box paste"):
        _bring_back(draft)
    other: list[tuple[str, Mapping[str, Any]]] = [(f"the preset {draft.preset}", draft.preset_content)] if draft.preset else []
    other += [] if last is None else [(f"the last run, {last[0]}", last[1])]
    for title, before in other:
        found = differences(before, now)
        if before is draft.preset_content:  # a preset knows no data and no name
            beside = ("name", *given_names(draft.kind))
            found = [one for one in found if one.place[0] not in beside]
        rows = difference_rows(found)
        with st.expander(plain(f"{_counted(len(rows))} from {title}"), key=f"{draft.page} box {title.split(',')[0]}"):
            if rows:
                st.dataframe(rows, hide_index=True, height=min(35 * (len(rows) + 1) + 3, 300))
            else:
                st.caption("The same settings.")


def _counted(count: int) -> str:
    return f"{count} difference{'' if count == 1 else 's'}" if count else "No difference"


def _bring_back(draft: Draft) -> None:
    key, file_key, said = f"{draft.page} pasted", f"{draft.page} opened", f"{draft.page} paste refused"
    state = st.session_state

    def take(text: str, where: str) -> None:
        try:
            settings = read_text(draft.kind, text, where=where)
        except SleepFMError as error:
            state[said] = str(error)
            return
        draft.fill(settings.model_dump(mode="json"))
        draft.parent = None
        forget_source(draft)
        state.pop(said, None)
        state[key] = ""

    def opened() -> None:
        upload = state[file_key]
        if upload is not None:
            take(upload.getvalue().decode("utf-8", "replace"), upload.name)

    st.text_area("YAML", key=key, height=120, placeholder="name: …", label_visibility="collapsed")
    st.button("Use this", on_click=lambda: take(state[key], "the text"), key=f"{draft.page} use")
    if said in state:
        st.error(plain(state[said]))
    st.file_uploader("Or open a file", type=["yaml", "yml"], key=file_key, on_change=opened, max_upload_size=1)
