"""Names and codes of short pieces ("Bo_Li", "AB-12"): a piece is everywhere, two of them side by side are somebody's.

Pieces are unaccented and without case, as `unaccented` makes them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from sleepfm.recording._technical_words import says_nobody

FEWEST_LETTERS = 3
"""Fewer letters cannot be looked for alone: initials and syllables are everywhere."""
FEWEST_DIGITS = 4
_FEWEST_TOGETHER = 3
_NAMED_BETWEEN = """
af al av ben bin da de del den der di do dos du el la las le lo los mc st te ten ter the van von zu
"""
PARTICLES = frozenset(_NAMED_BETWEEN.split())
"""What stands within names and in every text of its language."""
_GAP = r"(?:[^\w\n]|_){0,6}"
"""What may stand between two pieces; a line's end does not, for there another field begins."""
_GAP_OF_NUMBERS = r"(?:[^\w\n.,:]|_){0,3}"
"""Between numbers no point, comma or colon: those make times and measured values."""
_CODE_OF_NUMBERS = re.compile(r"\d+[-_/]\d+")
_IDEOGRAPHS = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")


def is_ideographic(piece: str) -> bool:
    """Whether a piece holds Chinese, Japanese or Korean letters, of which two are a whole name."""
    return _IDEOGRAPHS.search(piece) is not None


def stands_alone_only(piece: str) -> bool:
    """Whether a piece is a single such letter, which is part of many words."""
    return is_ideographic(piece) and len(unicodedata.normalize("NFC", piece)) == 1


def can_be_searched(piece: str) -> bool:
    """Whether a piece is long enough to be looked for by itself."""
    return len(piece) >= FEWEST_DIGITS if piece.isdigit() else len(piece) >= FEWEST_LETTERS or is_ideographic(piece)


def sequences(pieces: Sequence[str], alone: Collection[str], empty: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Give the pieces, and each two neighbours of them, that are to be looked for together.

    Parameters
    ----------
    pieces
        In their order.
    alone
        Those that are looked for by themselves; where there are any, "de la" beside them is not looked for.
    empty
        Words that say nothing.
    """
    for some in {tuple(pieces), *pairwise(pieces)}:
        joined = "".join(some)
        searched = any(piece in alone and not stands_alone_only(piece) for piece in some)
        named = any(not piece.isdigit() and piece not in empty for piece in some)
        particles = bool(alone) and PARTICLES.issuperset(some)
        enough = len(some) > 1 and (len(joined) >= _FEWEST_TOGETHER or is_ideographic(joined))
        if named and enough and not (searched or particles or says_nobody(" ".join(some))):
            yield some


def neighbouring_numbers(part: str) -> Iterator[tuple[str, str]]:
    """Give the pairs of numbers of a code like 12-34, too short to be looked for but together; of none that is a date."""
    if _CODE_OF_NUMBERS.fullmatch(part):
        for one, other in pairwise(re.findall(r"\d+", part)):
            if len(one + other) >= FEWEST_DIGITS and not (can_be_searched(one) or can_be_searched(other)):
                yield one, other


def together(*pieces: str) -> re.Pattern[str]:
    """Return the pattern of pieces side by side, in this order or the reverse, with any separators or none."""
    gap = _GAP_OF_NUMBERS if "".join(pieces).isdigit() else _GAP
    orders = (pieces, pieces[::-1])
    return re.compile(
        "|".join(f"{_edge(some[0][0], before=True)}{gap.join(some)}{_edge(some[-1][-1], before=False)}" for some in orders)
    )


def _edge(letter: str, *, before: bool) -> str:
    """Return the pattern of what may not stand before or behind: more of the same word or number."""
    if is_ideographic(letter):
        return ""
    more = r"\d" if letter.isdigit() else r"[^\W\d_]"
    return f"(?<!{more})" if before else f"(?!{more})"
