"""Events among a recording's annotations, by the standard texts of EDF+ (edfplus.info, "Standard texts", 3.3) and common ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.scoring import Event
from sleepfm.recording.scorings.xml_notes import plain_texts
from sleepfm.text import printable
from sleepfm.vocabulary import EventName

_APNEA = r"ap(p?n[oöe]?[eéa]|n[eé])"
"""Apnea, apnoea, Apnoe, apnée, apnea in the Romance languages."""
_UNCLASSIFIED = re.compile(rf"{_APNEA}|\b(resp(iratory|\.)?|breathing) events?\b|atemereignis|[ée]v[éeè]nement respiratoire")
"""An event of breathing whose kind the text does not say."""
_LISTED = 8
# first match wins; the other languages are those of the laboratories' programs (German, French, Spanish, Italian, Portuguese)
_PATTERNS: tuple[tuple[str, EventName], ...] = (
    (r"\brera\b|respiratory effort related", EventName.RERA),
    (r"^(eeg )?arousal", EventName.AROUSAL),
    (r"h?[iy]po(pn|apn)", EventName.HYPOPNEA),
    (rf"(central|zentral).*{_APNEA}|{_APNEA}.*(central|zentral)", EventName.CENTRAL_APNEA),
    (rf"(mixed|gemischt|mixt|mist[ao]).*{_APNEA}|{_APNEA}.*(mixed|gemischt|mixt|mist[ao])", EventName.MIXED_APNEA),
    (rf"o[bs]+tru.*{_APNEA}|{_APNEA}.*o[bs]+tru", EventName.OBSTRUCTIVE_APNEA),
    (r"d[eé]sat|entsättigung", EventName.DESATURATION),
    (r"arousal|micro-?[ée]veil|microdespertar|microrisveglio|weckreaktion", EventName.AROUSAL),
    (r"periodic (leg|limb) mov|\bplm", EventName.PLM),
    (r"(limb|leg) ?mov|\blm\b|beinbewegung", EventName.LEG_MOVEMENT),
    (r"snor|ronfle|schnarch|ronquido|russamento", EventName.SNORE),
    (r"lights? ?(off|out)|licht aus|extinction des lumi", EventName.LIGHTS_OFF),
    (r"lights? ?on\b|licht an|allumage des lumi", EventName.LIGHTS_ON),
    (r"art[ei]fact|artefakt", EventName.ARTIFACT),
)


def event_name(text: str) -> EventName | None:
    """Return which event an annotation's text names, None when it names none (a stage, a note)."""
    lowered = text.lower().replace("_", " ")
    return next((name for pattern, name in _PATTERNS if re.search(pattern, lowered)), None)


def events_from_annotations(annotations: Sequence[Annotation], *, source: str = "recording") -> tuple[Event, ...]:
    """Return the events among annotations; one without a duration is a point in time."""
    events = []
    for annotation in plain_texts(annotations)[0]:
        name = event_name(annotation.text)
        if name is not None:
            stop = annotation.onset_s + (annotation.duration_s or 0.0)
            events.append(Event(annotation.onset_s, stop, name.value, annotation.channel or "", source))
    return tuple(events)


def unclassified_annotations(annotations: Sequence[Annotation]) -> list[str]:
    """Return one sentence on the events of breathing whose kind is not said, which `events_from_annotations` leaves out.

    "Apnea" alone is none of obstructive, central and mixed; it is not guessed, so no index counts it.
    """
    found: Counter[str] = Counter()
    for annotation in plain_texts(annotations)[0]:
        if _UNCLASSIFIED.search(annotation.text.lower().replace("_", " ")) and event_name(annotation.text) is None:
            found[printable(annotation.text)[:40]] += 1
    if not found:
        return []
    named = ", ".join(f"{count} × '{text}'" for text, count in found.most_common(_LISTED))
    more = f" and {len(found) - _LISTED} more texts" if len(found) > _LISTED else ""
    return [
        f"{found.total()} annotation(s) are events of breathing whose kind is not said ({named}{more}): they were left out, and "
        "no index counts them"
    ]
