"""Sets of events as an engine or a file gave them; a review begins from one, and edits never change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Event


@dataclass(frozen=True)
class StoredEvents:
    """Events of a study with where they came from.

    Attributes
    ----------
    events
        In order of onset.
    label
        Who or what scored them, in a word or two.
    note
        Engine and version in one line, for small print.
    """

    id: int
    events: tuple[Event, ...]
    engine: str
    model: str
    label: str
    note: str
    created_at: datetime
    provenance: dict[str, Any]


def store_events(
    library: Library, identifier: str, events: Sequence[Event], *, engine: str, model: str, provenance: dict[str, Any]
) -> int:
    """Store a set of events; the same engine and model again replaces its older one. Returns its number.

    `provenance` holds at least `label`, `note` and `source_sha256`, the hash of the file that was scored.
    """
    raise NotImplementedError


def event_sets(library: Library, identifier: str) -> list[StoredEvents]:
    """Return the sets of a study, the newest first; those made from other bytes than the file has now are left out."""
    raise NotImplementedError


def remove_events(library: Library, identifier: str, number: int) -> None:
    """Forget a set; nothing happens when it is gone already."""
    raise NotImplementedError
