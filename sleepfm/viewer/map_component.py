"""The cohort map as a Streamlit component: mounts the front end in `assets/map` and hears what is selected on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from sleepfm.library.map_columns import Choice, MapColumn
from sleepfm.library.map_selection import Selection, read_selection
from sleepfm.library.maps import MapGrain, StoredMap
from sleepfm.text import printable
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.assets import app_folder, asset_text
from sleepfm.viewer.map_routes import COLUMN_PATH, PLACES_PATH
from sleepfm.viewer.map_words import UNITS
from sleepfm.vocabulary import EPOCH_S, WINDOW_S

_LOADER = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
}
"""


@dataclass(frozen=True)
class MapAnswer:
    """What its user did: the selection there is, and the study (and its 1-based epoch) that was just opened by a double click."""

    selection: Selection | None
    opened: tuple[str, int] | None


@cache
def _component() -> Any:
    return st.components.v2.component("sleepfm.map", css=asset_text("map/map.css"), js=_LOADER)


def chosen_column(offered: Sequence[Choice], key: str) -> str:
    """Return the key of the column that the map `key` is coloured by: the one its user chose, else the first."""
    keys = [one.key for one in offered]
    chosen = st.session_state.get(f"{key} column")
    return chosen if chosen in keys else keys[0]


def cohort_map(stored: StoredMap, *, offered: Sequence[Choice], column: MapColumn, note: str, key: str) -> MapAnswer:
    """Draw a map and return what is selected on it.

    Parameters
    ----------
    stored
        The map; its points come by `map_routes`.
    offered
        What it can be coloured by. The map colours itself at once when another is chosen, and the script runs again after it.
    column
        What it is coloured by (see `chosen_column`); its colours are fetched again when its values have changed.
    note
        What stands below the map when it is kept as a picture.
    key
        Of the component; another map is another component.
    """
    base = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")
    places = f"{base}{PLACES_PATH}?{urlencode({'map': stored.spec.identifier, 'made': stored.created_at.isoformat()})}"

    def recoloured() -> None:
        st.session_state[f"{key} column"] = st.session_state[key]["column"]

    result = _component()(
        key=key,
        data={
            "module": base + asset_url(app_folder() / "assets", "map/map.js"),
            "places": places,
            "columns": f"{base}{COLUMN_PATH}?{urlencode({'map': stored.spec.identifier})}",
            "offered": [{"key": one.key, "title": printable(one.title), "score": one.is_score} for one in offered],
            "column": column.key,
            "digest": column.digest,
            "unit": UNITS[stored.spec.grain],
            "windowSeconds": WINDOW_S if stored.spec.grain is MapGrain.WINDOW else 0,
            "axes": axis_words(stored),
            "note": printable(note),
            "name": f"map_{stored.spec.identifier}",
            "selection": st.session_state.get(f"{key} selection"),
        },
        on_selection_change=lambda: None,
        on_opened_change=lambda: None,
        on_column_change=recoloured,
    )
    described = _described(result.selection, places)
    st.session_state[f"{key} selection"] = described
    opened = result.opened
    return MapAnswer(
        None if described is None else read_selection(described),
        None if opened is None else (str(opened["study"]), int(opened["seconds"] // EPOCH_S) + 1),
    )


def _described(answer: Any, places: str) -> dict[str, Any] | None:
    """Return a selection's description without the map it was made on; None when that was another map."""
    if answer is None or answer.get("map") != places:
        return None
    return {name: value for name, value in answer.items() if name != "map"}


def axis_words(stored: StoredMap) -> list[str]:
    """Return what the axes mean."""
    if stored.explained:
        return [f"component {k} · {100 * share:.0f} % of the variance · no unit" for k, share in enumerate(stored.explained, 1)]
    return ["UMAP · near is alike; axes and distances across the map have no unit"]
