"""Text from files is hostile: labels and annotations may hold control characters, escape sequences and right-to-left tricks."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


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


_MARKDOWN = frozenset("\\`*_{}[]<>()#+-.!|~$:")
