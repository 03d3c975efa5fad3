"""Events among a recording's annotations, by the standard texts of EDF+ (edfplus.info, "Standard texts", 3.3) and common ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName

# first match wins: "hypopnea" holds "apnea"-like letters in some languages, "central apnea" is more than "apnea"
_PATTERNS: tuple[tuple[str, EventName], ...] = (
    (r"hypo(p|ap)no?ea|hypopnée", EventName.HYPOPNEA),
    (r"(central|zentral).*ap(n|no)e", EventName.CENTRAL_APNEA),
    (r"(mixed|gemischt|mixte).*ap(n|no)e", EventName.MIXED_APNEA),
    (r"obstru.*ap(n|no)e", EventName.OBSTRUCTIVE_APNEA),
    (r"\brera\b|respiratory effort related", EventName.RERA),
    (r"desat|entsättigung", EventName.DESATURATION),
    (r"arousal", EventName.AROUSAL),
    (r"periodic (leg|limb) mov|\bplm", EventName.PLM),
    (r"(limb|leg) mov|\blm\b", EventName.LEG_MOVEMENT),
    (r"snor|ronflement|schnarch", EventName.SNORE),
    (r"lights? ?(off|out)|licht aus", EventName.LIGHTS_OFF),
    (r"lights? ?on\b|licht an", EventName.LIGHTS_ON),
    (r"art[ei]fact|artefakt", EventName.ARTIFACT),
)


def event_name(text: str) -> EventName | None:
    """Return which event an annotation's text names, None when it names none (a stage, a note)."""
    lowered = text.lower()
    return next((name for pattern, name in _PATTERNS if re.search(pattern, lowered)), None)


def events_from_annotations(annotations: Sequence[Annotation], *, source: str = "recording") -> tuple[Event, ...]:
    """Return the events among annotations; one without a duration is a point in time."""
    events = []
    for annotation in annotations:
        name = event_name(annotation.text)
        if name is not None:
            stop = annotation.onset_s + (annotation.duration_s or 0.0)
            events.append(Event(annotation.onset_s, stop, name.value, annotation.channel or "", source))
    return tuple(events)
