"""Annotations whose text is XML (EDF++ of the Montreal Archive of Sleep Studies): read by the name of their element, or left out.

An EDF++ annotation that begins with "<" holds an element with the attributes name, groupName and channel.
"""

from __future__ import annotations

from collections.abc import Sequence

from sleepfm.errors import ScoringError
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.xml_tree import parse_xml

_MOST_CHARACTERS = 4096
"""MASS's annotations have some hundred."""


def plain_texts(annotations: Sequence[Annotation]) -> tuple[tuple[Annotation, ...], list[str]]:
    """Return annotations with XML texts (EDF++) replaced by the name and channel of their element."""
    plain, unread = [], 0
    for annotation in annotations:
        if not annotation.text.startswith("<"):
            plain.append(annotation)
            continue
        named = _from_xml(annotation)
        unread += named is None
        if named is not None:
            plain.append(named)
    return tuple(plain), [f"{unread} annotation(s) hold XML that names nothing or cannot be read: left out"] if unread else []


def _from_xml(annotation: Annotation) -> Annotation | None:
    if len(annotation.text) > _MOST_CHARACTERS:
        return None
    try:
        tree = parse_xml(annotation.text.encode("utf-8", errors="replace"))
    except ScoringError:
        return None  # counted and said by the caller
    for element in tree.root.iter():
        text = element.get("name") or element.get("groupName")
        if text:
            return Annotation(annotation.onset_s, annotation.duration_s, text.strip(), element.get("channel"))
    return None
