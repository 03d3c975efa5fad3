"""Integers for stages mean different things in different programs: what they mean is stated, never guessed.

REM is 4 in YASA and SleepFM, 5 in NSRR files and wonambi, 0 in ScoringHero, 1 in AccuSleePy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sleepfm.errors import RequestError
from sleepfm.recording.scorings.stage_names import stage_from_name
from sleepfm.vocabulary import Stage

MOST_CODES = 32
"""A hypnogram has a handful of codes; a file with more holds something else."""


class CodesNeededError(RequestError):
    """A file holds integers whose meaning its format does not fix; `counts` says how often each occurs."""

    def __init__(self, message: str, counts: Mapping[int, int]) -> None:
        super().__init__(message)
        self.counts = dict(counts)


def parse_codes(text: str) -> dict[int, Stage]:
    """Parse "0=W,1=N1,2=N2,3=N3,5=R,9=?".

    Raises
    ------
    RequestError
        Naming the part that is no code and stage, or that is given twice.
    """
    codes: dict[int, Stage] = {}
    for part in text.split(","):
        number, sign, name = part.partition("=")
        stage = stage_from_name(name) if sign and name.strip() else None
        try:
            code = int(number)
        except ValueError:
            stage = None
            code = 0
        if stage is None:
            raise RequestError(f"{part.strip()[:40]!r} is not a code and a stage: write codes as 0=W,1=N1,2=N2,3=N3,4=R,9=?")
        if code in codes:
            raise RequestError(f"code {code} is given twice")
        codes[code] = stage
    return codes


def stages_of(values: Sequence[int], codes: Mapping[int, Stage] | None, path: Path) -> list[Stage]:
    """Return the stage of every integer.

    Raises
    ------
    CodesNeededError
        When `codes` is None or lacks one of them, with the counts of all.
    """
    counts = Counter(values)
    missing = sorted(counts) if codes is None else sorted(set(counts) - set(codes))
    if missing:
        listed = ", ".join(f"{code} {counts[code]}×" for code in sorted(counts)[:MOST_CODES])
        lacking = ", ".join(map(str, missing[:MOST_CODES]))
        what = "do not say what they mean" if codes is None else f"are given no meaning for {lacking}"
        raise CodesNeededError(
            f"{path}: the integers {what} (found {listed}): give it, for instance --codes 0=W,1=N1,2=N2,3=N3,4=R,-1=?",
            counts,
        )
    assert codes is not None
    return [codes[value] for value in values]
