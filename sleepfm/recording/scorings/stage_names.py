"""Words for sleep stages: AASM, Rechtschaffen and Kales, and how programs abbreviate them."""

from __future__ import annotations

import re
from collections import Counter

from sleepfm.text import printable
from sleepfm.vocabulary import Stage

_NAMES = {
    "wake": Stage.WAKE, "w": Stage.WAKE, "awake": Stage.WAKE, "wakefulness": Stage.WAKE, "stage w": Stage.WAKE,
    "s0": Stage.WAKE, "stage wake": Stage.WAKE, "sleep stage w": Stage.WAKE,
    "rem": Stage.REM, "r": Stage.REM, "stage r": Stage.REM, "rem sleep": Stage.REM, "stage rem": Stage.REM,
    "sleep stage r": Stage.REM,
    "sws": Stage.N3,
}  # fmt: skip
_UNSCORED = {
    "unknown", "?", "unscored", "u", "uns", "n/a", "nan", "none", "undefined", "not scored", "sleep stage ?", "no stage",
}  # fmt: skip
"""Said by the scorer: Unknown, and nothing to wonder at."""
_MOVEMENT = {"movement", "movement time", "mt", "m", "art", "artefact", "artifact"}
_AMBIGUOUS = {"movement", "art", "artefact", "artifact", "none", "nan", "n/a", "undefined"}
_NREM = re.compile(r"(?:sleep stage |stage |nrem ?|stage n|sleep stage n|n|s|non-rem ?)([1-4])")
_LISTED = 8


def stage_from_name(name: str) -> Stage | None:
    """Return the stage a name means in SleepFM, AASM or R&K words (stage 4 is N3, movement Unknown); None when it is no stage."""
    plain = _plain(name)
    if plain in _NAMES:
        return _NAMES[plain]
    if plain in _UNSCORED or plain in _MOVEMENT:
        return Stage.UNKNOWN
    nrem = _NREM.fullmatch(plain)
    return Stage(min(int(nrem[1]), 3)) if nrem else None


def is_stage_word(word: str) -> bool:
    """Whether a label among other labels (events, notes) is a sleep stage; "movement" and "artifact" are then events."""
    return stage_from_name(word) is not None and _plain(word) not in _AMBIGUOUS


class StageWords:
    """Turns a file's words into stages, and remembers what had to be changed on the way and where first."""

    def __init__(self) -> None:
        self._fourth: Counter[str] = Counter()
        self._movement: Counter[str] = Counter()
        self._strange: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def stage(self, word: str, where: str, meaning: Stage | None = None) -> Stage:
        """Return the stage of a word at a place; `meaning` where the format has its own table, else that of the language."""
        shown, plain = printable(word.strip())[:40], _plain(word)
        found = stage_from_name(word) if meaning is None else meaning
        if found is None:
            self._count(self._strange, shown, where)
            return Stage.UNKNOWN
        if found is Stage.N3 and "4" in plain:
            self._count(self._fourth, shown, where)
        elif found is Stage.UNKNOWN and (plain in _MOVEMENT or "movement" in plain):
            self._count(self._movement, shown, where)
        return found

    def strange(self, word: str, where: str) -> Stage:
        """Count a word that is no stage and return Unknown."""
        self._count(self._strange, printable(word.strip())[:40], where)
        return Stage.UNKNOWN

    def said(self) -> list[str]:
        """Return a sentence for each kind of change, with counts and the first place."""
        sentences = (
            (self._strange, "is no sleep stage and became Unknown"),
            (self._movement, "became Unknown"),
            (self._fourth, "became N3 (stage 4 of Rechtschaffen and Kales)"),
        )
        return [
            f"{n} × '{word}' {done} (first: {self._first[word]})"
            for counts, done in sentences
            for word, n in counts.most_common(_LISTED)
        ]

    def _count(self, counts: Counter[str], word: str, where: str) -> None:
        counts[word] += 1
        self._first.setdefault(word, where)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())
