"""What copies that name nobody have in common, whatever the format: what is asked for, what was done, what has to be said."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sleepfm.errors import RequestError
from sleepfm.recording.identity import Identity, identity_of

Keep = Literal["age", "sex"]
KEEPABLE: tuple[Keep, ...] = ("age", "sex")
OLDEST = 89
"""Ages above are written as "over 89": so few people are older that it could name them (45 CFR 164.514(b)(2)(i)(C))."""
_STUDY_ID = re.compile(r"[A-Za-z0-9._-]{1,24}")
_DAYS_MOST = 365 * 60
MOST_TEXTS = 200
"""So many different free texts are listed."""


@dataclass(frozen=True)
class Deidentified:
    """What was made of a recording.

    Attributes
    ----------
    kept
        What the copy still says of the person and the night ("sex F", "time of day 22:15:00").
    removed
        How many of each sort were blanked ("patient field", "annotations", "transducers", …); only what was there.
    annotations_kept
        Annotations whose text stands in the copy as it was.
    searched_words
        Words, codes and dates of the original header that the copy was searched for.
    remarks
        What could not be done or looked for, each a sentence.
    free_texts
        Different annotations that were kept though they are more than the usual words of a scoring, the first 200: somebody has
        to read them, for a name that only they hold is nowhere in the header.
    """

    file: str
    out: str
    kept: tuple[str, ...]
    removed: dict[str, int]
    annotations_kept: int
    searched_words: int
    remarks: tuple[str, ...] = ()
    free_texts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return what `sleepfm deidentify --json` prints."""
        return asdict(self)


@dataclass
class Tally:
    """What is being removed and kept."""

    removed: dict[str, int] = field(default_factory=dict)
    annotations_kept: int = 0
    free_texts: dict[str, None] = field(default_factory=dict)

    def remove(self, what: str, count: int = 1) -> None:
        """Count what was blanked; nothing of a sort that was not there."""
        if count:
            self.removed[what] = self.removed.get(what, 0) + count


def check_request(path: Path, out: Path, study_id: str, shift_days: int | None) -> Identity:
    """Return whom the header names; RequestError for what cannot be done or would name them again."""
    if study_id and _STUDY_ID.fullmatch(study_id) is None:
        raise RequestError(f"--study-id {study_id!r}: give 1 to 24 letters, digits and . _ - without blanks")
    if shift_days is not None and (shift_days == 0 or abs(shift_days) > _DAYS_MOST):
        raise RequestError(f"a shift of {shift_days} days: give a number other than 0, of at most {_DAYS_MOST} either way")
    if out.exists() and path.exists() and out.samefile(path):
        raise RequestError(f"{out}: is the recording itself, which is never changed; name another file")
    identity = identity_of(path)
    if identity.names_in(study_id):
        raise RequestError("the study id holds a word, code or date of the header; give another one")
    if identity.names_in(out.stem):
        raise RequestError(f"{out}: the file's name holds a word, code or date of the header; give another one")
    return identity


def unsearched(identity: Identity) -> list[str]:
    """Return what could not be looked for, each a sentence."""
    remarks = []
    if identity.technical:
        remarks.append(
            f"{len(identity.technical)} word(s) of the name are also words of every montage or scoring, so the copy could not be"
            " searched for them; look at its labels"
        )
    if unsure := len(identity.short) + len(identity.common):
        remarks.append(
            f"{unsure} part(s) of the name or code are too short or too common a word to be searched for alone (together with"
            " their neighbours they were); look at the texts that were kept"
        )
    return remarks


def age_words(age: int) -> str:
    """Return an age in years as it may be said."""
    return f"age {age} years" if age <= OLDEST else f"age over {OLDEST} years"


def without_names(text: str, identity: Identity) -> str | None:
    """Return a text with each piece that holds something of the header written as X, as long as it was.

    Returns None where what it holds runs across the pieces.
    """
    pieces = [("X" * len(piece) if identity.traces_in(piece) else piece) for piece in re.split(r"([\s_.:;,/()\[\]-]+)", text)]
    masked = "".join(pieces)
    return None if identity.traces_in(masked) else masked
