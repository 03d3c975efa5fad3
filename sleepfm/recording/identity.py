"""Who a recording's header says was recorded, and whether anything of that is left in a file.

`identity_of(recording)` reads the words, numbers and dates of a header that can name somebody; `require_no_identity(files,
identity)` opens files anew, of whatever kind, and looks for every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """What could give a person away.

    Attributes
    ----------
    words
        Names, codes and technicians, of three characters or more, case-folded; common and technical words are not among them.
    dates
        Of birth and of the recording, as (year, month, day).
    """

    words: frozenset[str]
    dates: frozenset[tuple[int, int, int]]
