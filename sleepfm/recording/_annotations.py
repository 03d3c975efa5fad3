"""Time-stamped annotation lists (TALs), EDF+ clause 2.2.2 to 2.2.4: onset [0x15 duration] 0x14 text 0x14 … 0x00."""

from __future__ import annotations

import math
import re

from sleepfm.recording._header import LONGEST_S
from sleepfm.recording.recording import Annotation

_TIME = re.compile(rb"[+-]?\d+(?:[.,]\d*)?")


def record_onset(raw: bytes) -> float | None:
    """Return the onset in seconds of the time-keeping TAL that begins a record's annotations; None when there is none."""
    head = raw.split(b"\x14", 1)
    return _seconds(head[0].split(b"\x15", 1)[0].lstrip(b"\x00")) if len(head) == 2 else None


def parse_tals(raw: bytes) -> tuple[list[Annotation], int]:
    """Parse one record's annotation bytes.

    Returns
    -------
    annotations, malformed
        Annotations with a text, onsets as written (from the header's start time); how many TALs could not be read.
    """
    annotations: list[Annotation] = []
    malformed = 0
    for tal in raw.split(b"\x00"):
        if not tal.strip():
            continue
        times, *texts = tal.split(b"\x14")
        onset_text, _, duration_text = times.partition(b"\x15")
        onset, duration = _seconds(onset_text), _seconds(duration_text) if duration_text else None
        if onset is None or not texts or (duration_text and duration is None):
            malformed += 1
            continue
        annotations.extend(_annotation(onset, duration, text) for text in texts if text)
    return annotations, malformed


def _annotation(onset: float, duration: float | None, raw: bytes) -> Annotation:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    text, marker, channel = text.partition("@@")
    return Annotation(onset, duration, text.strip(), channel.strip() if marker and channel.strip() else None)


def _seconds(raw: bytes) -> float | None:
    raw = raw.strip()
    if _TIME.fullmatch(raw) is None:
        return None
    value = float(raw.replace(b",", b"."))
    return value if math.isfinite(value) and abs(value) <= LONGEST_S else None
