"""The names and codes in the free fields of a header: what of them can be looked for, alone or together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sleepfm.recording._header_dates import MONTHS, NUMERIC_DATE
from sleepfm.recording._short_names import (
    PARTICLES,
    can_be_searched,
    neighbouring_numbers,
    sequences,
    stands_alone_only,
)
from sleepfm.recording._technical_words import is_technical

LONG = 6
"""So many letters are no accident inside another word, nor among the bytes of signals."""
_EMPTY_WORDS = """
mrn pid hospital clinic case
male female man woman unknown anonymous anonymised anonymized deidentified patient subject study startdate birthdate name
none null nan test demo night sleep psg simulated edf bdf xxx xxxx not available undefined unnamed recording date code sex
age year years the and for von van der den des del dos las los mrs mr ms dr prof
"""
_SAYS_NOTHING = frozenset(_EMPTY_WORDS.split()) | frozenset(MONTHS)
_ALSO_SURNAMES = frozenset(("test", "case", *MONTHS))
"""Of these words those that people are called as well."""
_BETWEEN_NAMES = frozenset(("m", "f")) | (_SAYS_NOTHING - _ALSO_SURNAMES - PARTICLES)
"""Parts of a field that are no name, so that what stands before and behind are two."""
PIECE = re.compile(r"[^\W_]+")
_AGE_WORD = re.compile(r"\d{1,3}(y|yr|yrs|years|years?old|ans|jahre)")


@dataclass
class HeaderNames:
    """What is collected of a header's fields, as `Identity` has it."""

    words: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    technical: set[str] = field(default_factory=set)
    sequences: set[tuple[str, ...]] = field(default_factory=set)
    common: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    wholes: set[str] = field(default_factory=set)

    def add_field(self, text: str) -> None:
        """Take a field, unaccented: its parts stand between blanks; neighbours are one name unless an empty one is between."""
        run: list[list[str]] = []
        for part in (*text.split(), ""):
            pieces = [piece for piece in PIECE.findall(part) if set(piece) != {"x"} and not _AGE_WORD.fullmatch(piece)]
            self._add_part(pieces)
            if NUMERIC_DATE.search(part) or (len(pieces) < 2 and _BETWEEN_NAMES.issuperset(pieces)):
                self._add_run(run)
                run = []
            else:
                self.sequences.update(neighbouring_numbers(part))
                run.append(pieces)

    def _add_part(self, pieces: list[str]) -> None:
        named = [piece for piece in pieces if piece not in _SAYS_NOTHING]
        of_short = len(named) > 1 and not any(map(can_be_searched, named))
        for piece in {*named, "".join(named), "".join(reversed(named))} - {""}:
            if not can_be_searched(piece):
                continue
            if piece.isdigit():
                self.numbers.add(piece)
            elif is_technical(piece):
                self.technical.add(piece)
            elif of_short and len(piece) < LONG:  # looked for as a name, not within other words ("boli" in "metabolism")
                self.sequences.add((piece,))
            else:
                self.words.add(piece)

    def _add_run(self, run: list[list[str]]) -> None:
        """Take the parts of one name or code together: what of it is short, and which short pieces are neighbours."""
        pieces = [piece for part in run for piece in part]
        named = [piece for piece in pieces if piece not in _SAYS_NOTHING]
        for at, piece in enumerate(pieces):
            beside = (*pieces[max(0, at - 1) : at], *pieces[at + 1 : at + 2])
            if piece in _ALSO_SURNAMES and not any(one.isdigit() for one in beside):
                self.common.add(piece)
            elif piece in named and not can_be_searched(piece) and len(piece) >= (3 if piece.isdigit() else 2):
                self.short.add(piece)
                if piece.isdigit() or (len(pieces) == 1 and not is_technical(piece)):
                    self.wholes.add(piece)
        alone = (self.words | self.numbers).intersection(named)
        if alone and len(run) == 1 and not all(map(stands_alone_only, alone)):
            return
        found = set[tuple[str, ...]]()
        for order in (pieces, named, [piece for piece in pieces if piece in named or piece in _ALSO_SURNAMES]):
            found.update(sequences(order, alone, _SAYS_NOTHING - _ALSO_SURNAMES))
        self.sequences |= found
        if not alone and not found:  # initials and no more
            self.short.update(piece for piece in named if piece.isalpha() and piece not in self.technical)
