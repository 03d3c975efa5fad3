"""Whether the modalities of a night belong together, and whether each is what its label says, from their embeddings alone.

Two things are measured of every 5-min window of a modality:

- **Agreement**: where its true partners (the same five minutes in the other modalities) rank among the night's own windows.
  Noise, a failing sensor, or a signal that is shifted in time or of another night does not find its partners.
- **Likeness**: of which modality the most similar windows of other people are. An encoder shares its weights between
  modalities, so two signals with swapped labels still find their partners; but an ECG that is called EMG lies among other
  people's ECGs.

Both are 0.5 where nothing is known (chance; as like another modality as its own) and 1 at best. What counts as low is learned
from other people's nights, so that an encoder, or a modality, that says little raises no alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

CHANCE = 0.5
"""Agreement of a signal that knows nothing of its partners, and likeness of one that lies between two modalities."""
LEAST_USUAL = 0.55
"""Where other people's nights stay below this in the median, the encoder cannot tell, and nothing is judged by it."""
FEWEST_PEOPLE = 6
"""With fewer other people nothing is judged."""
FEWEST_WINDOWS = 4
"""A night of fewer windows has too few candidates for a rank to mean anything."""
SMOOTHED = 5
"""Windows that a running mean is taken over: the rank of a single window is left to chance too much."""
FEWEST_NEIGHBOURS, NEIGHBOURS = 5, 20
BANK_WINDOWS = 500
"""Windows of other people that neighbours are looked up in, for each modality; spread evenly over the nights."""
LOWEST_SHARE = 0.01
"""Part of other people's windows whose values count as unusually low."""
AGREEMENT_LEFT = (0.75, 0.5)
"""An unusually low agreement is doubtful (alarming) when less than this part is left of what others have above chance."""
LIKENESS_LIMITS = (0.5, 0.25)
"""An unusually low likeness is doubtful (alarming) below this: another modality has as many (three times as many) neighbours."""
ALARMING_SHARE, DOUBTFUL_SHARE = 0.25, 0.1
"""Part of a night's windows that must be alarming for the night to be so, and part that makes it doubtful."""


class Flag(StrEnum):
    """What to think of a modality, or of one window of it."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    ALARM = "alarm"


@dataclass(frozen=True, eq=False)
class PartnerRanks:
    """Ranks of the true partners among the night's own windows.

    Attributes
    ----------
    rank_abw
        (query modality, target modality, window) 1 is best, a tie counts half; NaN where one of the two is not usable.
    candidates_ab
        (query modality, target modality) windows in the race, the partner included.
    """

    rank_abw: np.ndarray
    candidates_ab: np.ndarray


@dataclass(frozen=True)
class Usual:
    """What other people's windows reach in one modality.

    Attributes
    ----------
    median, low
        Median over windows, and the value that only `LOWEST_SHARE` of them do not exceed; NaN where there is none.
    people
        How many people that rests on.
    """

    median: float
    low: float
    people: int

    @property
    def enough(self) -> bool:
        """Whether it rests on enough people to judge by."""
        return self.people >= FEWEST_PEOPLE

    @property
    def tells(self) -> bool:
        """Whether good nights stand out from chance at all."""
        return self.enough and self.median >= LEAST_USUAL

    def left(self, value_w: np.ndarray) -> np.ndarray:
        """Return (window,) how much is left of what others have above chance, 1 as usual; NaN where nobody can tell."""
        return (value_w - CHANCE) / (self.median - CHANCE) if self.tells else np.full(value_w.shape, np.nan)

    def level(self, value_w: np.ndarray, limits: Sequence[float]) -> np.ndarray:
        """Return (window,) how many of the limits an unusually low value is below; 0 where nobody can tell."""
        low_w = (value_w <= self.low) & self.tells
        return np.sum([low_w & (value_w < limit) for limit in limits], axis=0)


@dataclass(frozen=True, eq=False)
class Others:
    """Windows of other people, to compare a night with.

    Attributes
    ----------
    bank_re, modality_r, person_r
        (row, E) unit vectors, and the modality and person of each.
    agreement, likeness
        By modality index, what is usual.
    people, windows
        How many people, and 5-min windows of theirs, were looked at.
    """

    bank_re: np.ndarray
    modality_r: np.ndarray
    person_r: np.ndarray
    agreement: tuple[Usual, ...]
    likeness: tuple[Usual, ...]
    people: int
    windows: int


@dataclass(frozen=True, eq=False)
class Judgement:
    """One modality of a night.

    Attributes
    ----------
    agreement_w, likeness_w
        (window,) running means; NaN where they cannot be had.
    like_w
        (window,) index of the modality that each window is most like; -1 where nobody can tell.
    score_w
        (window,) how much is left of what other people's windows have above chance, 0 to 1, of the worse of the two; NaN where
        neither can be judged.
    flag_w
        (window,) None where neither can be judged.
    flag
        Of the night; doubtful also when no window could be judged.
    disagrees_w, unlike_w
        (window,) whether its agreement, and its likeness, is unusually low.
    """

    agreement_w: np.ndarray
    likeness_w: np.ndarray
    like_w: np.ndarray
    score_w: np.ndarray
    flag_w: tuple[Flag | None, ...]
    flag: Flag
    disagrees_w: np.ndarray
    unlike_w: np.ndarray

    @property
    def judged(self) -> int:
        """How many windows could be judged."""
        return sum(flag is not None for flag in self.flag_w)

    @property
    def disagrees(self) -> bool:
        """Whether so many windows disagree that the night is not good."""
        return bool(self.disagrees_w.sum() >= DOUBTFUL_SHARE * max(self.judged, 1))

    @property
    def unlike(self) -> bool:
        """Whether so many windows are unlike that the night is not good."""
        return bool(self.unlike_w.sum() >= DOUBTFUL_SHARE * max(self.judged, 1))


def partner_ranks(unit_mwe: np.ndarray) -> PartnerRanks:
    """Rank the true partner of each window among the night's windows, for every ordered pair of modalities.

    Parameters
    ----------
    unit_mwe
        (modality, window, E) unit vectors; NaN where a modality is not usable.
    """
    usable_mw = np.isfinite(unit_mwe).all(axis=2)
    modalities, windows = usable_mw.shape
    rank_abw = np.full((modalities, modalities, windows), np.nan)
    candidates_ab = np.zeros((modalities, modalities), dtype=int)
    for a in range(modalities):
        for b in range(a + 1, modalities):
            both = np.flatnonzero(usable_mw[a] & usable_mw[b])
            similarity_ww = unit_mwe[a, both] @ unit_mwe[b, both].T
            partner_w = np.diag(similarity_ww)[:, None]
            for query, target, found_ww in ((a, b, similarity_ww), (b, a, similarity_ww.T)):
                better_w = (found_ww > partner_w).sum(axis=1)
                tied_w = (found_ww == partner_w).sum(axis=1) - 1
                rank_abw[query, target, both] = 1 + better_w + tied_w / 2
                candidates_ab[query, target] = both.size
    return PartnerRanks(rank_abw, candidates_ab)


def agreement(ranks: PartnerRanks) -> np.ndarray:
    """Return (modality, window) how well each modality finds its partners and is found, 1 at best and 0.5 by chance.

    A running mean. Of a modality's partners the middle one counts (of two the better one), so that one bad modality does not
    spoil the others. Where there are only two modalities, both are low when either is bad.
    """
    modalities, _, windows = ranks.rank_abw.shape
    others_ab = np.where(ranks.candidates_ab >= FEWEST_WINDOWS, ranks.candidates_ab - 1.0, np.nan)
    score_abw = 1 - (ranks.rank_abw - 1) / others_ab[:, :, None]
    both_ways_abw = (score_abw + score_abw.transpose(1, 0, 2)) / 2
    found_mw = np.full((modalities, windows), np.nan)
    for m in range(modalities):
        partners_pw = np.stack([_running_mean(both_ways_abw[m, p]) for p in range(modalities) if p != m])
        middle_w = np.isfinite(partners_pw).sum(axis=0) // 2
        found_mw[m] = np.take_along_axis(np.sort(partners_pw, axis=0), middle_w[None], axis=0)[0]  # sorted: NaN last
    return found_mw


def gather_others(nights: Sequence[np.ndarray], people: Sequence[str]) -> Others:
    """Learn from other people's nights what is usual.

    Parameters
    ----------
    nights
        (modality, window, E) of each, as for `partner_ranks`; at least one.
    people
        Whose night each is.
    """
    modalities = len(nights[0])
    found = [agreement(partner_ranks(night_mwe)) for night_mwe in nights]
    person_n = np.unique(np.asarray(people, dtype=str), return_inverse=True)[1]
    all_mwe = np.concatenate(nights, axis=1)
    person_w = np.repeat(person_n, [night_mwe.shape[1] for night_mwe in nights])
    rows, modality, person = [], [], []
    for m in range(modalities):
        usable = np.flatnonzero(np.isfinite(all_mwe[m]).all(axis=1))
        chosen = usable[np.linspace(0, usable.size - 1, min(usable.size, BANK_WINDOWS)).round().astype(int)]
        rows.append(all_mwe[m, chosen])
        modality.append(np.full(chosen.size, m))
        person.append(person_w[chosen])
    others = Others(
        np.concatenate(rows),
        np.concatenate(modality),
        np.concatenate(person),
        agreement=tuple(_usual(np.concatenate([one_mw[m] for one_mw in found]), person_w) for m in range(modalities)),
        likeness=tuple(Usual(np.nan, np.nan, np.unique(one).size) for one in person),
        people=int(person_n.max()) + 1,
        windows=all_mwe.shape[1],
    )
    likeness = tuple(
        _usual(_running_mean_each(_likeness(rows[m], m, others, person[m])[0], person[m]), person[m]) for m in range(modalities)
    )
    return replace(others, likeness=likeness)


def judge(unit_mwe: np.ndarray, others: Others) -> tuple[Judgement | None, ...]:
    """Judge each modality of a night; None for one without a usable window.

    Parameters
    ----------
    unit_mwe
        As for `partner_ranks`.
    others
        What is usual; none of it of the night's own person.
    """
    agreement_mw = agreement(partner_ranks(unit_mwe))
    return tuple(_judge(m, unit_mwe[m], agreement_mw[m], others) for m in range(len(unit_mwe)))


def _judge(m: int, unit_we: np.ndarray, agreement_w: np.ndarray, others: Others) -> Judgement | None:
    usable_w = np.isfinite(unit_we).all(axis=1)
    if not usable_w.any():
        return None
    likeness_w, like_w = np.full(usable_w.size, np.nan), np.full(usable_w.size, -1)
    likeness_w[usable_w], like_w[usable_w] = _likeness(unit_we[usable_w], m, others)
    likeness_w = np.where(usable_w, _running_mean(likeness_w), np.nan)
    agreement_w = np.where(usable_w, agreement_w, np.nan)
    agreed, alike = others.agreement[m], others.likeness[m]
    agreement_limits = [CHANCE + left * (agreed.median - CHANCE) for left in AGREEMENT_LEFT]
    level_kw = np.stack([agreed.level(agreement_w, agreement_limits), alike.level(likeness_w, LIKENESS_LIMITS)])
    score_w = np.clip(np.fmin(agreed.left(agreement_w), alike.left(likeness_w)), 0.0, 1.0)
    judged_w = np.isfinite(score_w)
    level_w = level_kw.max(axis=0)
    return Judgement(
        agreement_w,
        likeness_w,
        like_w,
        score_w,
        flag_w=tuple(tuple(Flag)[level] if known else None for level, known in zip(level_w, judged_w, strict=True)),
        flag=_night_flag(level_w[judged_w]),
        disagrees_w=level_kw[0] > 0,
        unlike_w=level_kw[1] > 0,
    )


def _night_flag(level_w: np.ndarray) -> Flag:
    if level_w.size == 0:
        return Flag.DOUBTFUL
    if (level_w == 2).mean() >= ALARMING_SHARE:
        return Flag.ALARM
    return Flag.DOUBTFUL if (level_w >= 1).mean() >= DOUBTFUL_SHARE else Flag.GOOD


def _likeness(unit_qe: np.ndarray, m: int, others: Others, person_q: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (query,) the likeness to modality m against the next best one, and the modality that is most alike.

    Votes are weighed by how rare a modality is in the bank. NaN and -1 where there is nothing to choose between.
    """
    known = [c for c in range(len(others.likeness)) if others.likeness[c].enough]
    if m not in known or len(known) < 2:
        return np.full(len(unit_qe), np.nan), np.full(len(unit_qe), -1)
    kept_r = np.isin(others.modality_r, known)
    bank_re, modality_r, person_r = others.bank_re[kept_r], others.modality_r[kept_r], others.person_r[kept_r]
    rows_c = np.bincount(modality_r, minlength=len(others.likeness))
    k = min(max(min(rows_c[c] for c in known) // 10, FEWEST_NEIGHBOURS), NEIGHBOURS)
    similarity_qr = unit_qe @ bank_re.T
    if person_q is not None:
        similarity_qr[person_q[:, None] == person_r] = -np.inf
    nearest_qk = np.argpartition(similarity_qr, -k, axis=1)[:, -k:]
    votes_qc = np.stack([(modality_r[nearest_qk] == c).sum(axis=1) / max(rows_c[c], 1) for c in range(rows_c.size)], axis=1)
    own_q = votes_qc[:, m].copy()
    like_q = votes_qc.argmax(axis=1)
    votes_qc[:, m] = 0
    return own_q / (own_q + votes_qc.max(axis=1)), like_q


def _usual(values_n: np.ndarray, person_n: np.ndarray) -> Usual:
    known_n = np.isfinite(values_n)
    if not known_n.any():
        return Usual(np.nan, np.nan, 0)
    found_n = values_n[known_n]
    people = np.unique(person_n[known_n]).size
    return Usual(float(np.median(found_n)), float(np.quantile(found_n, LOWEST_SHARE)), people)


def _running_mean_each(values_r: np.ndarray, person_r: np.ndarray) -> np.ndarray:
    found_r = np.empty(values_r.shape)
    for one in np.unique(person_r):
        found_r[person_r == one] = _running_mean(values_r[person_r == one])
    return found_r


def _running_mean(values_w: np.ndarray) -> np.ndarray:
    """Return the centred running mean over `SMOOTHED` windows of those that are there; NaN where none is."""
    known_w = np.isfinite(values_w)
    ones = np.ones(SMOOTHED)
    reach = SMOOTHED // 2
    count_w = np.convolve(known_w.astype(float), ones)[reach : reach + known_w.size]
    sum_w = np.convolve(np.where(known_w, values_w, 0.0), ones)[reach : reach + known_w.size]
    return np.divide(sum_w, count_w, out=np.full(count_w.shape, np.nan), where=count_w > 0.5)
