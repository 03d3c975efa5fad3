"""XML from strangers: no document type, no entities, bounded in size and depth, and every element knows its line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.tables import read_raw
from sleepfm.text import printable

_DEEPEST = 64
_MOST_ELEMENTS = 500_000
"""A night of 10,000 events has some 80,000."""


@dataclass(frozen=True)
class XmlTree:
    """A parsed document."""

    root: Element
    lines: dict[Element, int]

    def iterate(self, tag: str) -> Iterator[tuple[Element, str]]:
        """Give the elements of a tag in order, with their places ("line 12")."""
        for element in self.root.iter(tag):
            yield element, f"line {self.lines[element]}"


def root_tag(head: bytes) -> str | None:
    """Return the name of the first element in a file's first bytes, in whatever encoding; None when it is no XML."""
    text = head.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").decode("latin-1")
    if not text.startswith("<"):
        return None
    at = 0
    while (at := text.find("<", at)) >= 0:
        if text.startswith("<!--", at):
            end = text.find("-->", at)
            at = len(text) if end < 0 else end
        elif text[at + 1 : at + 2] in ("?", "!"):
            at += 2
        else:
            name = text[at + 1 :].split(">", 1)[0].split()
            return name[0].rstrip("/") if name else None
    return None


def read_xml(path: Path, root: str) -> XmlTree:
    """Parse a file whose root element is `root`.

    Raises
    ------
    ScoringError
        Naming the file: not well-formed, with a document type, too deep, too large, or with another root.
    RequestError
        When it cannot be read.
    """
    try:
        tree = parse_xml(read_raw(path))
    except ScoringError as error:
        message = str(error)
        raise ScoringError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    if tree.root.tag != root:
        raise ScoringError(f"{path}: the root is {printable(tree.root.tag)[:40]!r}, not {root!r}")
    return tree


def parse_xml(raw: bytes) -> XmlTree:
    """Parse a document.

    Raises
    ------
    ScoringError
        Not well-formed, with a document type, or deeper or larger than annotations are.
    """
    builder = TreeBuilder()
    lines: dict[Element, int] = {}
    depth = 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST or len(lines) >= _MOST_ELEMENTS:
            raise ScoringError(f"line {parser.CurrentLineNumber}: is deeper or larger than annotation files are")
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def doctype(*_: object) -> NoReturn:
        # without a document type no entity can be declared, inside or outside the file
        raise ScoringError("declares a document type, which annotation files have no use for: it is not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(raw, True)  # noqa: FBT003 - the name of expat's argument is none
        return XmlTree(builder.close(), lines)
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:  # two of them: an encoding that nobody knows
        raise ScoringError(f"is not well-formed XML ({printable(str(error))}); copy it again") from None


def text_of(element: Element, tag: str) -> str:
    """Return an inner element's text, "" when there is none."""
    return (element.findtext(tag) or "").strip()


def seconds_of(element: Element, tag: str, where: str) -> float:
    """Return an inner element's number; ScoringError naming the place otherwise."""
    value = number_of(text_of(element, tag))
    if value is None:
        raise ScoringError(f"{where}: {tag} {printable(text_of(element, tag))[:40]!r} is not a number")
    return value


def number_of(text: str) -> float | None:
    """Return a finite number, None for anything else; a decimal comma is understood."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
