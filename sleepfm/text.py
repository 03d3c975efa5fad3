"""Text from files is hostile: labels and annotations may hold control characters, escape sequences and right-to-left tricks."""

from __future__ import annotations

import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""Return the text with every control, format and unassigned character written as an escape (``\x1b``, ``\u202e``)."""
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _INVISIBLE else character
        for character in text
    )
