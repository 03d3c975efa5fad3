"""The words that a PDF shows and carries, to be searched: what stands on its pages, and what is said of it.

Enough of ISO 32000-1 for the files that we write: pages whose fonts have a map to Unicode (9.10.3), packed or
not; strings with escapes or as hexadecimal digits (7.3.4); the titles and names in the document's own words (14.3). What is drawn
as a picture is not read.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping

_OBJECT = re.compile(rb"(?<!\d)(\d{1,9}) \d{1,5} obj\b(.*?)\bendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_FONTS = re.compile(rb"/Font\s*<<(.*?)>>", re.DOTALL)
_REFERENCE = re.compile(rb"/([^\s/<>\[\]()]+)\s+(\d{1,9}) \d{1,5} R")
_TO_UNICODE = re.compile(rb"/ToUnicode\s+(\d{1,9}) \d{1,5} R")
_CHARACTERS = re.compile(rb"/(?:Registry|Ordering)\s*\([^()]*\)")
"""Whose character sets the fonts use, which says nothing of the document."""
_SHOWS = re.compile(rb"\bT[Jj]\b")
_STRING = rb"\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]*>"
_TOKEN = re.compile(rb"/(?P<font>[^\s/<>\[\]()]+)\s+[-\d.]+\s+Tf|(?P<string>" + _STRING + rb")|(?P<bracket>[\[\]])", re.DOTALL)
_SAID = re.compile(_STRING, re.DOTALL)
_MAPPED = re.compile(rb"begin(bfchar|bfrange)(.*?)endbf", re.DOTALL)
_HEX = re.compile(rb"<([0-9A-Fa-f\s]*)>")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|(\r\n|.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}
_MOST_UNPACKED = 256 << 20
_LARGEST_RANGE = 1 << 16

_Map = Mapping[bytes, str]


def pdf_texts(raw: bytes) -> Iterator[str]:
    """Give the texts of a PDF: each piece that a page shows, line by line, and all that is said in the document's parts."""
    objects = {int(number): content for number, content in _OBJECT.findall(raw)}
    maps = {number: _map(_unpacked(found[1])) for number, content in objects.items() if (found := _STREAM.search(content))}
    fonts: dict[bytes, _Map] = {}
    for content in objects.values():
        for inside in _FONTS.findall(_STREAM.sub(b"", content)):
            for name, number in _REFERENCE.findall(inside):
                if found := _TO_UNICODE.search(objects.get(int(number), b"")):
                    fonts[name] = maps.get(int(found[1]), {})
    for content in objects.values():
        packed = _STREAM.search(content)
        unpacked = _unpacked(packed[1]) if packed else b""
        if _SHOWS.search(unpacked):
            yield "\n".join(_shown(unpacked, fonts))
        elif packed and _is_text(unpacked):  # metadata as XML
            yield unpacked.decode("utf-8", "replace")
    outside = _CHARACTERS.sub(b"", _STREAM.sub(b"", raw))
    yield "\n".join(_said(_bytes(found)) for found in _SAID.findall(outside))


def _unpacked(stream: bytes) -> bytes:
    """Return a stream's bytes; of one that is not packed, or otherwise than we know, as they stand."""
    try:
        return zlib.decompressobj().decompress(stream, _MOST_UNPACKED)
    except zlib.error:
        return stream


def _is_text(content: bytes) -> bool:
    return b"\x00" not in content[:4096] and content.lstrip()[:1] == b"<"


def _map(content: bytes) -> _Map:
    """Return the characters of a font's codes; empty for what is no map."""
    found: dict[bytes, str] = {}
    for sort, inside in _MAPPED.findall(content):
        values = [bytes.fromhex(one.decode()) for one in _HEX.findall(inside) if len(b"".join(one.split())) % 2 == 0]
        if sort == b"bfchar":
            pairs = zip(values[::2], values[1::2], strict=False)
            found.update((code, text.decode("utf-16-be", "replace")) for code, text in pairs)
            continue
        for low, high, text in zip(values[::3], values[1::3], values[2::3], strict=False):
            first, count = int.from_bytes(low), int.from_bytes(high) - int.from_bytes(low) + 1
            for step in range(min(count, _LARGEST_RANGE)):
                code = (first + step).to_bytes(len(low)) if first + step < 256 ** len(low) else low
                last = (int.from_bytes(text) + step) % 256 ** len(text) if text else 0
                found[code] = last.to_bytes(len(text)).decode("utf-16-be", "replace")
    return found


def _shown(content: bytes, fonts: Mapping[bytes, _Map]) -> Iterator[str]:
    """Give the strings that a page shows; the parts of one that are only moved apart are one."""
    font: _Map = {}
    together: list[str] | None = None
    for token in _TOKEN.finditer(content):
        if token["font"] is not None:
            font = fonts.get(token["font"], {})
        elif token["bracket"] is not None:
            if together:
                yield "".join(together)
            together = [] if token["bracket"] == b"[" else None
        else:
            text = _text(_bytes(token["string"]), font)
            if together is None:
                yield text
            else:
                together.append(text)


def _text(raw: bytes, font: _Map) -> str:
    if not font:
        return raw.decode("latin-1")
    width = len(next(iter(font))) or 1  # a map may give an empty code, whoever wrote it
    return "".join(font.get(raw[at : at + width], "") for at in range(0, len(raw), width))


def _bytes(string: bytes) -> bytes:
    """Return the bytes of a string as it is written."""
    if string.startswith(b"<"):
        digits = b"".join(string[1:-1].split())
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1] is not None:
            return bytes([int(found[1], 8) % 256])
        return _ESCAPED.get(found[2], found[2])

    return _ESCAPE.sub(plain, string[1:-1])


def _said(raw: bytes) -> str:
    """Return a text of the document's own words (7.9.2): UTF-16 or UTF-8 where its first bytes say so."""
    if raw.startswith(b"\xfe\xff"):
        return raw[2:].decode("utf-16-be", "replace")
    return raw.decode("utf-8" if raw.startswith(b"\xef\xbb\xbf") else "latin-1", "replace")
