"""The trace viewer as a Streamlit component: mounts the front end in `assets/viewer` and hears which epoch it shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode

import streamlit as st

from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.assets import app_folder, asset_text
from sleepfm.viewer.review_routes import REVIEW_PATH
from sleepfm.viewer.routes import OVERVIEW_PATH, SPECTROGRAM_PATH, WINDOW_PATH
from sleepfm.viewer.similar_routes import OPINION_PATH
from sleepfm.viewer.theme import for_browser

_LOADER = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
}
"""
"""Streamlit runs a component's script as a blob, which cannot import its neighbours; this fetches the real modules."""

# Registered once, when the module is first imported: a script run only mounts it.
_mount = st.components.v2.component(
    "sleepfm.viewer", css=asset_text("viewer/viewer.css") + asset_text("viewer/events.css"), js=_LOADER
)

SPACE_BELOW_PX = 26
"""Left free below the viewer for the line that says what made the scoring."""


def trace_viewer(
    study_id: str,
    *,
    epoch: int,
    visit: str,
    scorings: Sequence[str] = (),
    revision: str = "",
    unscored: str = "",
    why_not: str = "Nothing can be scored here.",
    joined: Collection[int] = (),
    event_sets: Mapping[int, str] = MappingProxyType({}),
    may_export: bool = False,
    similar: Callable[[int, str | None], None] = lambda _epoch, _modality: None,
    key: str = "viewer",
) -> int | None:
    """Show a study and return the epoch on the screen (1-based), None until the viewer has said so.

    The viewer turns pages on its own; the script (or the fragment this is called in) runs again about 0.3 s after the last one.

    Parameters
    ----------
    study_id
        The study, as the routes' source knows it.
    epoch
        Where to open (1-based).
    visit
        Anything; when it changes the viewer goes to `epoch`, else it stays where its user is.
    scorings
        Ids of up to two scorings, from top to bottom.
    revision
        Anything; when it changes the viewer fetches the night's overview again (a scoring was made, a channel corrected).
    unscored
        What stands in place of the hypnogram when there is no scoring.
    why_not
        Why the keys score nothing when the upper scoring is no review; a review says that itself.
    joined
        Reviews under another name that this user has begun or gone on with on the page; others are read only until they say so.
    event_sets
        Number and name of each stored set of events, whose events a review can take.
    may_export
        Whether the table of events can be taken out of the app.
    similar
        Called when somebody asks where else it looks like this, with the epoch on the screen and the modality of the selected
        channel, None when no channel is selected or it belongs to none.
    """
    base = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")
    upper, lower = [*scorings, "", ""][:2]
    query = urlencode({"study": study_id, "upper": upper, "lower": lower, "revision": revision})
    result = _mount(
        key=key,
        data={
            "study": study_id,
            "goto": {"epoch": epoch, "nonce": visit},
            "module": base + asset_url(app_folder() / "assets", "viewer/viewer.js"),
            "overview": f"{base}{OVERVIEW_PATH}?{query}",
            "routes": {
                "window": base + WINDOW_PATH,
                "spectrogram": base + SPECTROGRAM_PATH,
                "opinion": base + OPINION_PATH,
                "review": base + REVIEW_PATH,
            },
            "theme": for_browser(),
            "below": SPACE_BELOW_PX,
            "unscored": unscored,
            "why_not": why_not,
            "joined": [str(one) for one in joined],
            "event_sets": [{"id": number, "name": name} for number, name in event_sets.items()],
            "may_export": may_export,
        },
        on_place_change=lambda: None,
        on_similar_change=lambda: None,
    )
    if result.similar is not None and result.similar["study"] == study_id:
        similar(int(result.similar["epoch"]), result.similar["modality"])
    place = result.place
    # Until the viewer has spoken, the state is that of the study before.
    return int(place["epoch"]) if place and place["study"] == study_id else None
