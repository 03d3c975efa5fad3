"""Reading the fixed-width ASCII fields of an EDF header, tolerantly: text in whatever encoding, numbers as vendors write them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?")
_LARGEST_EXACT = 2**53
"""Above this a double no longer holds every integer; no field of 8 characters needs more."""


def read_text(raw: bytes) -> tuple[str, str]:
    """Decode a padded text field.

    EDF asks for ASCII; vendors write UTF-8 or Latin-1, and UTF-8 labels are often cut at 16 bytes in the middle of a character.

    Returns
    -------
    text, oddity
        The stripped text, and what was odd about it in words ("" when nothing was).
    """
    raw = raw.split(b"\x00", 1)[0].strip()
    try:
        return raw.decode("utf-8").strip(), "" if raw.isascii() else "is written in UTF-8 where EDF asks for ASCII"
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > 0:
            return raw[: error.start].decode("utf-8").strip(), "is cut in the middle of a character"
    return raw.decode("latin-1").strip(), "is written in Latin-1, not ASCII or UTF-8"


def read_number(raw: bytes) -> tuple[Decimal | None, str]:
    """Read a number field.

    Returns
    -------
    value, oddity
        The exact decimal value, None when there is no number at all, and what was odd in words ("" when nothing was).
    """
    text = raw.replace(b"\x00", b" ").decode("latin-1").strip()
    found = _NUMBER.search(text)
    if found is None or not math.isfinite(value := float(found[0].replace(",", "."))) or abs(value) > 1e300:
        return None, f"is not a number ({text!r})" if text else "is empty"
    number = Decimal(found[0].replace(",", "."))
    if found[0] != text:
        return number, f"holds more than a number ({text!r}, read as {number})"
    return number, "has a comma as decimal sign" if "," in text else ""


def read_integer(raw: bytes) -> tuple[int | None, str]:
    """Read a number field that must be a whole number; a fraction is cut off and named in the oddity."""
    number, oddity = read_number(raw)
    if number is None:
        return None, oddity
    if abs(number) > _LARGEST_EXACT:
        return None, f"is out of range ({number})"
    whole = int(number)
    return whole, oddity or ("" if whole == number else f"is not a whole number ({number})")
