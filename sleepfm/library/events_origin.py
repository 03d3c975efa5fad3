"""Where the events of a scoring came from: what their maker looked for, what it could not, and what it warned of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from sleepfm.inference.event_remarks import event_remarks
from sleepfm.library.event_sets import StoredEvents
from sleepfm.library.library import Library
from sleepfm.recording.scorings.event_texts import events_from_annotations, unclassified_annotations
from sleepfm.recording.scorings.scoring import Event


@dataclass(frozen=True)
class EventsOrigin:
    """A set of events as it was when it was taken over; the set itself may be made again or go.

    Attributes
    ----------
    label
        Who or what marked them, in a word or two; "" for nobody.
    provenance
        Of the set, with `made_at`; empty where no program or file is known.
    """

    label: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_set(cls, stored: StoredEvents) -> EventsOrigin:
        """Return what is to be remembered of a set."""
        return cls(stored.label, stored.provenance | {"made_at": stored.created_at.isoformat(timespec="seconds")})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EventsOrigin:
        """Return what `as_json` gave."""
        return cls(stored["label"], stored["provenance"])

    def as_json(self) -> dict[str, Any]:
        """Return `{"label", "provenance"}`."""
        return {"label": self.label, "provenance": dict(self.provenance)}

    @property
    def looked_for(self) -> frozenset[str]:
        """Names of events of which none marked means that there are none."""
        return frozenset(self.provenance.get("looked_for") or ())

    @property
    def left_out(self) -> tuple[tuple[int, int], ...]:
        """Runs of 0-based epochs [first, stop) in which nothing was looked for."""
        return left_out_of(self.provenance)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be known before the numbers of these events are believed, each a sentence."""
        return event_remarks(self.provenance)


def annotated_events(library: Library, study: str) -> tuple[tuple[Event, ...], EventsOrigin]:
    """Return the events among a recording's own annotations, and what is to be known of them: what was left out.

    Raises
    ------
    RecordingError
        When the recording cannot be read.
    """
    with closing(library.recording(study)) as recording:
        annotations = recording.annotations()
    events, warnings = events_from_annotations(annotations), unclassified_annotations(annotations)
    return events, EventsOrigin("the recording's annotations" if events or warnings else "", {"warnings": warnings})


def left_out_of(provenance: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return the runs of 0-based epochs [first, stop) in which the maker of a set looked for nothing."""
    return tuple((int(first), int(stop)) for first, stop in provenance.get("left_out") or ())
