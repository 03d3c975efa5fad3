"""A person among people like them: of the same sex and about the same age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sleepfm.analysis.estimates import Estimate, undefined


def matched(
    age: float, sex: str, age_n: np.ndarray, sex_n: np.ndarray, *, caliper_years: float = 5.0, most: int | None = None
) -> np.ndarray:
    """Return the places of the people of this sex whose age is at most `caliper_years` away, the nearest in age first.

    Parameters
    ----------
    age, sex
        Of the person, who must not be among the others.
    age_n, sex_n
        (person,) of the others; NaN and the empty text are not known, and match nobody.
    most
        At most so many.

    Returns
    -------
    np.ndarray
        (matched,) int; people of the same distance in age stay in their order.
    """
    away_n = np.abs(np.asarray(age_n, dtype=np.float64) - age)
    # ages are stated to a tenth of a year: 65.1 is five years from 60.1, whatever the last bit says
    inside_n = (away_n <= caliper_years + 1e-9) & (np.asarray(sex_n) == sex)
    order_n = np.argsort(away_n, kind="stable")
    return order_n[inside_n[order_n]][:most]


@dataclass(frozen=True)
class Standing:
    """Where a score stands among others.

    Attributes
    ----------
    lower, equal
        How many of them are lower and how many are the same.
    share_lower
        Share of the others that are lower, those of the same score counting half, with Wilson's 95 % interval.
    """

    lower: int
    equal: int
    share_lower: Estimate


def standing(score: float, score_n: np.ndarray, confidence: float = 0.95) -> Standing:
    """Return where a score stands among (person,) finite scores of other people, one a person."""
    score_n = np.asarray(score_n, dtype=np.float64)
    lower, equal, n = int((score_n < score).sum()), int((score_n == score).sum()), score_n.size
    if not n:
        return Standing(0, 0, undefined("nobody to compare with", n=0, subjects=0))
    share = (lower + equal / 2) / n
    return Standing(lower, equal, Estimate(share, *wilson(share, n, confidence), n, n))


def wilson(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share of n (Wilson, J Am Stat Assoc 1927, 22:209-212)."""
    z = float(ndtri(0.5 + confidence / 2))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    # the share itself is inside, whatever the last bit says
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))
