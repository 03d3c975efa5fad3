"""Text from files is hostile: labels and annotations may hold control characters, escape sequences and right-to-left tricks."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = frozenset("\\`*_{}[]<>()#+-.!|~$:")


def printable(text: str) -> str:
    r"""Return the text with every control, format and unassigned character written as an escape (``\x1b``, ``\u202e``)."""
    if text.isprintable():  # nearly always; ten thousand events have thirty thousand texts
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _INVISIBLE else character
        for character in text
    )


def plain(text: str) -> str:
    """Return the text for a place that reads Markdown: printable, and every sign that Markdown would act on escaped."""
    return "".join(f"\\{character}" if character in _MARKDOWN else character for character in printable(text))


def size_words(size: float) -> str:
    """Return a size in bytes as people say it: "340 kB", "1.2 MB", "25 MB", "3.4 GB"."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e6:.{size < 1e7:d}f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
