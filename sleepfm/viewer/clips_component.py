"""The night strip and the clips as Streamlit components: mount the front end in `assets/clips` and hear what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import streamlit as st

from sleepfm.library.facts import Person
from sleepfm.library.library import StoredScoring
from sleepfm.library.neighbours import Clip, NeighbourAnswer
from sleepfm.library.study import Study
from sleepfm.text import printable
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.assets import app_folder, asset_text
from sleepfm.viewer.routes import WINDOW_PATH
from sleepfm.viewer.similar_routes import AGREEMENT_PATH, CLIP_PATH
from sleepfm.viewer.similar_words import person_words, time_of_night
from sleepfm.viewer.theme import for_browser
from sleepfm.vocabulary import EPOCH_S, Modality

_LOADER = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
}
"""
_night = st.components.v2.component("sleepfm.night", css=asset_text("clips/clips.css"), js=_LOADER)
_clips = st.components.v2.component("sleepfm.clips", css=asset_text("clips/clips.css"), js=_LOADER)


def _base() -> str:
    return f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")


def _module(name: str) -> str:
    return _base() + asset_url(app_folder() / "assets", f"clips/{name}")


def night_strip(
    study: Study,
    scoring: StoredScoring | None,
    *,
    at: float,
    visit: str,
    clips: Sequence[float] = (),
    agreement: str | None,
    key: str = "night",
) -> float | None:
    """Show a night and return the first second of the window that was chosen in it, None until one was.

    Parameters
    ----------
    study, scoring
        The night, and the scoring that counts.
    at
        The window chosen when the page opened, in seconds.
    visit
        Anything; when it changes the strip goes to `at`, else it stays where its user is.
    clips
        First seconds of the query's other clips in this night.
    agreement
        Where the agreement of the modalities is asked for (`agreement_address`); None shows none.
    """
    epochs = max(1, int(-(-study.duration_s // EPOCH_S)))
    shown = [] if scoring is None else [scoring]
    scorings = [{"label": printable(one.label), "stages": one.scoring.stages[:epochs].tolist()} for one in shown]
    result = _night(
        key=key,
        data={
            "module": _module("night.js"),
            "theme": for_browser(),
            "night": {
                "study": study.id,
                "epochs": epochs,
                "duration_s": study.duration_s,
                "start": None if study.start is None else study.start.isoformat(timespec="milliseconds"),
                "scorings": scorings,
                "events": [],
            },
            "at": at,
            "nonce": visit,
            "clips": list(clips),
            "agreement": None if agreement is None else _base() + agreement,
            "unscored": "Not scored yet: any five minutes can be chosen all the same",
        },
        on_place_change=lambda: None,
    )
    place = result.place
    return float(place["at"]) if place and place["study"] == study.id else None


def agreement_address(study: str, encoder: str, index: str) -> str:
    """Return where the agreement of a study's modalities is asked for; another state of the index is another address."""
    return f"{AGREEMENT_PATH}?{urlencode({'study': study, 'encoder': encoder, 'index': index})}"


def clips_view(
    answer: NeighbourAnswer,
    studies: dict[str, Study],
    people: dict[str, Person],
    *,
    agreement: tuple[str, str] | None = None,
    key: str = "clips",
) -> dict[str, Any] | None:
    """Show a query and its neighbours; return what was clicked: {"do": open|use|add, "study", "start", "nonce"}.

    Parameters
    ----------
    answer
        What was found.
    studies, people
        Of the query's clips and of the neighbours.
    agreement
        A study and where the agreement of its modalities is asked for.
    """
    query = answer.query
    asked = [_card(clip, studies, people) for clip in query.clips]
    found = [
        _card(Clip(one.study, one.start_s), studies, people) | {"number": number, "similarity": f"{one.similarity:.2f}"}
        for number, one in enumerate(answer.neighbours, start=1)
    ]
    clicked = _clips(
        key=key,
        data={
            "module": _module("clips.js"),
            "theme": for_browser(),
            "routes": {"clip": _base() + CLIP_PATH, "window": _base() + WINDOW_PATH},
            "modalities": [modality.value for modality in Modality],
            "query": {"clips": asked, "modality": query.modality.value, "target": query.target.value},
            "neighbours": found,
            "agreement": None if agreement is None else {"study": agreement[0], "url": _base() + agreement[1]},
        },
        on_action_change=lambda: None,
    )
    action: dict[str, Any] | None = clicked.action
    return action


def epoch_of(seconds: float) -> int:
    """Return the epoch (1-based) that a time lies in."""
    return int(seconds // EPOCH_S) + 1


def _card(clip: Clip, studies: dict[str, Study], people: dict[str, Person]) -> dict[str, Any]:
    study = studies[clip.study]
    return {
        "study": clip.study,
        "start": clip.start_s,
        "time": time_of_night(study.start, clip.start_s),
        "about": person_words(people[clip.study]) + (" · simulated" if study.simulated else ""),
        "href": f"review?study={quote(clip.study)}&epoch={epoch_of(clip.start_s)}",
    }
