"""Cutting a channel label into words and electrodes, whatever its separators, case, accents or language.

A label is read as a whole without its separators; among all ways to cut it into known words, electrode names, numbers and
rubbish, the cheapest is taken. Separators only make it dearer to run across them, so "L-Leg 1", "LLEG1" and "l_leg.1" read alike.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sleepfm.recording._label_words import WORDS

MOST_CHARACTERS = 120
"""Labels have 16 characters; longer text is cut before it is read."""
_ELECTRODE = re.compile(
    r"fp(?:z|[129]|10)|af(?:z|[1-9]|10)|f[tc](?:z|[1-9]|10)|cp(?:z|[1-6])|tp(?:z|[789]|10)|po(?:z|[1-9]|10)|(?:f|p)(?:z|[1-9]|10)"
    r"|c(?:z|[1-6])|t(?:[1-9]|10)|o(?:z|[129]|10)|iz|nz|sp[12]|pg[12]|cb[12]|[am](?:12|22|[12])|e[12]"
)
_LETTERS_FROM = {"ø": "o", "æ": "ae", "ł": "l", "ß": "ss", "đ": "d", "ı": "i", "œ": "oe", "µ": "u", "μ": "u"}
_SIGNAL_NAMES = frozenset({"eeg", "emg", "eog", "ecg", "ekg", "loc", "roc"})
_COST_UNKNOWN = 3.0
_COST_UNKNOWN_LETTER = 0.5
_COST_TAIL_LETTER = 0.4
_COST_ACROSS = 0.6
_COST_NUMBER = 0.2
_COST_SIDE = 0.5
_GLUED_SIDES = frozenset({"l", "r", "lt", "rt"})
_SHORT = 3
"""Words up to this length are only trusted next to a separator, a digit or another known word."""


@dataclass(frozen=True)
class Token:
    """A piece of a label: `group` is a group of words, or "electrode", "number" or "unknown"."""

    group: str
    text: str


class _Ending(Enum):
    """What a cut ended in just before the next letter, when no separator or digit stands between."""

    WORD = 0
    SHORT_WORD = 1
    SIDE_LETTER = 2
    RUBBISH = 3


_Path = tuple[float, tuple[Token, ...]]


@lru_cache(maxsize=4096)
def read_label(label: str) -> tuple[Token, ...]:
    """Return the label's tokens in order; never raises, an empty or strange label gives unknown tokens or none."""
    text, starts = _compact(label)
    paths: list[dict[_Ending, _Path]] = [{} for _ in range(len(text) + 1)]
    paths[0][_Ending.WORD] = (0.0, ())
    for here in range(len(text)):
        for ending, (cost, tokens) in paths[here].items():
            fresh = here in starts or text[here].isdigit() or text[here - 1].isdigit()
            for end, token, price, after in _steps(text, here, starts, _Ending.WORD if fresh else ending):
                if after not in paths[end] or cost + price <= paths[end][after][0] + 1e-9:
                    paths[end][after] = (cost + price, (*tokens, token))
    return _joined(min(paths[-1].values(), key=lambda path: path[0])[1])


def _compact(label: str) -> tuple[str, frozenset[int]]:
    """Return the letters and digits of a label, folded, and the places in them where a separator stood."""
    letters: list[str] = []
    starts = {0}
    size = 0
    for character in unicodedata.normalize("NFKD", _unscrambled(label[:MOST_CHARACTERS]).casefold()):
        plain = _LETTERS_FROM.get(character, character)
        if plain.isalnum():
            letters.append(plain)
            size += len(plain)
        elif not unicodedata.combining(character):
            starts.add(size)
    return "".join(letters), frozenset(starts)


def _unscrambled(label: str) -> str:
    """Undo UTF-8 text that some program read as Latin-1 ("ImpÃ©dance")."""
    if not {"Ã", "Â", "Å", "Ä"} & set(label):
        return label
    try:
        return label.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return label


def _vocabulary() -> tuple[dict[str, str], dict[str, str]]:
    whole: dict[str, str] = {}
    stems: dict[str, str] = {}
    for group, words in WORDS.items():
        for word in words.split():
            (stems if word.endswith("*") else whole).setdefault(word.rstrip("*"), group)
    return whole, stems


_WHOLE, _STEMS = _vocabulary()
_LONGEST = max(map(len, (*_WHOLE, *_STEMS)))


def _steps(text: str, here: int, starts: frozenset[int], ending: _Ending) -> list[tuple[int, Token, float, _Ending]]:
    """Return every token that may begin here: (end, token, cost, what the cut then ends in)."""
    if text[here].isdigit():
        run = _run_end(text, here, starts)
        steps = [(run, Token("number", text[here:run]), _COST_NUMBER, _Ending.WORD)]
    else:
        price = {_Ending.RUBBISH: _COST_UNKNOWN_LETTER, _Ending.WORD: _COST_UNKNOWN}.get(ending, 2 * _COST_UNKNOWN)
        steps = [(here + 1, Token("unknown", text[here]), price, _Ending.RUBBISH)]
    electrode = _ELECTRODE.match(text, here)
    if electrode and ending in {_Ending.WORD, _Ending.SHORT_WORD}:
        end = electrode.end()
        steps.append((end, Token("electrode", electrode[0]), 1.0 + _across(here, end, starts), _Ending.SHORT_WORD))
    shortest = {_Ending.RUBBISH: _SHORT + 1, _Ending.SIDE_LETTER: _SHORT}.get(ending, 1)
    for end in range(here + 1, min(len(text), here + _LONGEST) + 1):
        word = text[here:end]
        if len(word) < shortest and word not in _SIGNAL_NAMES:
            continue
        price = 1.0 + _across(here, end, starts)
        if group := _WHOLE.get(word):
            if word in _GLUED_SIDES:
                steps.append((end, Token(group, word), _COST_SIDE + price - 1.0, _Ending.SIDE_LETTER))
            else:
                long = len(word) > _SHORT or word in _SIGNAL_NAMES
                steps.append((end, Token(group, word), price, _Ending.WORD if long else _Ending.SHORT_WORD))
        if group := _STEMS.get(word):
            for tail in range(end, _run_end(text, end - 1, starts) + 1):
                steps.append((tail, Token(group, text[here:tail]), price + _COST_TAIL_LETTER * (tail - end), _Ending.WORD))
    return steps


def _run_end(text: str, here: int, starts: frozenset[int]) -> int:
    """Return where the run of letters, or of digits, that holds `here` ends."""
    end = here + 1
    while end < len(text) and end not in starts and text[end].isdigit() == text[here].isdigit():
        end += 1
    return end


def _across(here: int, end: int, starts: frozenset[int]) -> float:
    return _COST_ACROSS * sum(1 for place in starts if here < place < end)


def _joined(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Put neighbouring unknown letters together."""
    joined: list[Token] = []
    for token in tokens:
        if token.group == "unknown" and joined and joined[-1].group == "unknown":
            joined[-1] = Token("unknown", joined[-1].text + token.text)
        else:
            joined.append(token)
    return tuple(joined)
