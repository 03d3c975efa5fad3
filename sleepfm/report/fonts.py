"""The one font of reports: DejaVu Sans as it comes with matplotlib, so that µ, ≥ and é look the same everywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sleepfm.text import printable


def font_file(style: str = "") -> Path:
    """Return a file of DejaVu Sans; `style` is "", "Bold" or "Oblique"."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{f'-{style}' if style else ''}.ttf"


@cache
def register_font() -> None:
    """Make matplotlib use its own copy of the font, whatever else of that name the machine has."""
    from matplotlib.font_manager import fontManager

    fontManager.addfont(font_file())


def drawable(text: str) -> str:
    r"""Return the text printable, and characters that the font lacks as escapes (``\u4e2d``): nothing becomes an empty box."""
    known = _characters()
    return "".join(
        one if one == " " or ord(one) in known else one.encode("unicode_escape").decode("ascii") for one in printable(text)
    )


@cache
def _characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_file())).get_charmap())
