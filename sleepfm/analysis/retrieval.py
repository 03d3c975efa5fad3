"""Cross-modal retrieval: where the partner of a window in another modality ranks, given one modality's embedding.

Every window is compared with every other one, block by block, so memory does not grow with their number. From the number of
windows more similar than the partner, the top-k rate among N random candidates follows exactly (hypergeometric), so 1,000, 10,000
and 90,000 candidates need one pass and no drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled
from sleepfm.progress import Progress, silent

TIE = 1e-6
"""Cosine similarities that lie closer than this count as equal: float32 products of 128 numbers are not more exact."""
TOP = (1, 10)
_QUERIES_AT_ONCE = 512
_CANDIDATES_AT_ONCE = 8192

Rows = slice | np.ndarray


@dataclass(frozen=True)
class Ranks:
    """Where the true partner of each query stands among a kind of candidates.

    Attributes
    ----------
    better_n, tied_n
        (query,) candidates that are more similar than the partner, and as similar.
    others_n
        (query,) candidates besides the partner.
    """

    better_n: np.ndarray
    tied_n: np.ndarray
    others_n: np.ndarray


@dataclass(frozen=True)
class PairRanks:
    """Ranks of one query-target pair against three kinds of candidates.

    Attributes
    ----------
    window_n
        (query,) the window of each query, an index into the embeddings.
    everyone
        Among all windows.
    other_subjects
        Among the partner and the windows of other people: no window of the same person can be taken for it.
    same_night
        Among the windows of the same recording: the hard case, since person and montage give nothing away.
    """

    window_n: np.ndarray
    everyone: Ranks
    other_subjects: Ranks
    same_night: Ranks


@dataclass(frozen=True)
class Chance:
    """What blind guessing reaches among the same candidates."""

    top1: float
    top10: float
    median_rank: float


@dataclass(frozen=True)
class Retrieval:
    """Retrieval of one pair among `candidates`.

    Attributes
    ----------
    candidates
        Candidates with the partner; where they differ by query (same night), their median.
    n
        Queries.
    top1, top10
        Share of queries whose partner ranks first, or among the first ten; a tie counts by the chance of winning it.
    median_rank
        Median over queries of the expected rank, 1 is best.
    top1_sampled
        On the resamples, for means over pairs.
    """

    candidates: int
    n: int
    top1: Estimate
    top10: Estimate
    median_rank: Estimate
    chance: Chance
    top1_sampled: Sampled

    def as_dict(self) -> dict[str, object]:
        """Return plain numbers under the agreed names, with n, intervals and chance beside them."""
        named = {"top1": self.top1, "top10": self.top10, "median_rank": self.median_rank}
        return {
            **{name: estimate.value for name, estimate in named.items()},
            "candidates": self.candidates,
            "n": self.n,
            "intervals": {name: [estimate.low, estimate.high] for name, estimate in named.items()},
            "chance": {"top1": self.chance.top1, "top10": self.chance.top10, "median_rank": self.chance.median_rank},
            "subjects": self.top1.subjects,
            "reason": self.top1.reason,
        }


def rank_partners(
    z_mne: np.ndarray,
    present_mn: np.ndarray,
    nights_n: np.ndarray,
    subjects_n: np.ndarray,
    *,
    progress: Progress = silent,
) -> dict[tuple[int, int], PairRanks]:
    """Rank the true partner for every ordered pair of modalities by cosine similarity.

    Parameters
    ----------
    z_mne
        (modality, window, E) embeddings of held-out windows; what stands where a modality is absent is ignored.
    present_mn
        (modality, window) bool.
    nights_n, subjects_n
        (window,) recording and subject of each window.
    progress
        Called after each pair.

    Returns
    -------
    dict
        By (query modality, target modality); windows that lack one of the two are neither queries nor candidates.
    """
    unit_mne = _unit(z_mne, present_mn)
    pairs = [(a, b) for a in range(len(unit_mne)) for b in range(a + 1, len(unit_mne))]
    found: dict[tuple[int, int], PairRanks] = {}
    for done, (a, b) in enumerate(pairs):
        window_n = np.flatnonzero(present_mn[a] & present_mn[b])
        found[a, b], found[b, a] = _rank(unit_mne[a, window_n], unit_mne[b, window_n], window_n, nights_n, subjects_n, sides=2)
        progress((done + 1) / len(pairs), "ranking partners")
    return found


def rank_left_out(
    z_mne: np.ndarray,
    present_mn: np.ndarray,
    nights_n: np.ndarray,
    subjects_n: np.ndarray,
    *,
    progress: Progress = silent,
) -> dict[int, PairRanks]:
    """Rank each modality's window with the mean of the others' normalised embeddings as the query.

    The query is that of the leave-one-out loss, over the other modalities that are present; a window needs the target and at
    least one other. Parameters as in `rank_partners`; the result goes by the target modality.
    """
    unit_mne = _unit(z_mne, present_mn)
    present_mn = np.asarray(present_mn, dtype=bool)
    found = {}
    for target in range(len(unit_mne)):
        others = [m for m in range(len(unit_mne)) if m != target]
        window_n = np.flatnonzero(present_mn[target] & present_mn[others].any(axis=0))
        query_ne = _normalised(unit_mne[others][:, window_n].sum(axis=0))
        (found[target],) = _rank(query_ne, unit_mne[target, window_n], window_n, nights_n, subjects_n, sides=1)
        progress((target + 1) / len(unit_mne), "ranking left-out modalities")
    return found


def score_ranks(ranks: Ranks, boot: Bootstrap, candidates: int | None = None) -> Retrieval:
    """Return top-1, top-10 and median rank among `candidates`.

    Parameters
    ----------
    ranks
        Of one pair and kind of candidates.
    boot
        One row a query: the bootstrap draws the people who ask, the candidates stay.
    candidates
        How many with the partner: the expectation over random choices of so many is returned. None, or more than there are: all.
    """
    kept_n = ranks.others_n > 0
    boot = boot.part(kept_n)
    better_n, tied_n, others_n = (a[kept_n].astype(np.int64) for a in (ranks.better_n, ranks.tied_n, ranks.others_n))
    drawn_n = others_n if candidates is None else np.minimum(others_n, candidates - 1)
    tops = {k: boot.sample_mean(_expected_top(k, better_n, tied_n, others_n, drawn_n)) for k in TOP}
    rank_n = 1 + (better_n + tied_n / 2) * drawn_n / np.maximum(others_n, 1)
    size_n = drawn_n + 1
    middle = float(np.median(size_n)) if size_n.size else 0.0

    def estimate(sampled: Sampled) -> Estimate:
        return boot.estimate(sampled, reason="no query has a candidate besides its partner")

    return Retrieval(
        candidates=int(middle),
        n=size_n.size,
        top1=estimate(tops[1]),
        top10=estimate(tops[10]),
        median_rank=estimate(boot.sample_median(rank_n)),
        chance=Chance(
            top1=float((1 / size_n).mean()) if size_n.size else 0.0,
            top10=float(np.minimum(10 / size_n, 1).mean()) if size_n.size else 0.0,
            median_rank=(middle + 1) / 2,
        ),
        top1_sampled=tops[1],
    )


def _unit(z_mne: np.ndarray, present_mn: np.ndarray) -> np.ndarray:
    z_mne, present_mn = np.asarray(z_mne, dtype=np.float32), np.asarray(present_mn, dtype=bool)
    if present_mn.shape != z_mne.shape[:2]:
        raise ValueError(f"presence has shape {present_mn.shape}, embeddings {z_mne.shape}")
    z_mne = np.where(present_mn[:, :, None], z_mne, 0)
    if not np.isfinite(z_mne).all():
        raise ValueError("an embedding that counts as present is not finite")
    return _normalised(z_mne)


def _normalised(x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def _rank(
    a_ne: np.ndarray, b_ne: np.ndarray, window_n: np.ndarray, nights_n: np.ndarray, subjects_n: np.ndarray, *, sides: int
) -> list[PairRanks]:
    """Rank b's windows for the queries a and, with two sides, a's for the queries b: the same products serve both."""
    n = len(a_ne)
    night_n, subject_n = np.asarray(nights_n)[window_n], np.asarray(subjects_n)[window_n]
    partner_n = np.einsum("ne,ne->n", a_ne, b_ne)
    everyone = _count(a_ne, b_ne, partner_n, _tiles(n), sides)
    person = _count(a_ne, b_ne, partner_n, _within(subject_n), sides)
    night = _count(a_ne, b_ne, partner_n, _within(night_n), sides)
    return [
        PairRanks(
            window_n,
            everyone=_ranks(everyone[side], np.full(n, n - 1)),
            other_subjects=_ranks(everyone[side] - person[side], n - _sizes(subject_n)),
            same_night=_ranks(night[side], _sizes(night_n) - 1),
        )
        for side in range(sides)
    ]


def _ranks(counts_kn: np.ndarray, others_n: np.ndarray) -> Ranks:
    better_n, tied_n = counts_kn
    return Ranks(better_n, tied_n, others_n)


def _count(
    a_ne: np.ndarray, b_ne: np.ndarray, partner_n: np.ndarray, tiles: Iterator[tuple[Rows, Rows]], sides: int
) -> np.ndarray:
    """Return (side, better or tied, query) how many candidates beat and how many equal the partner, over all tiles."""
    counts_skn = np.zeros((sides, 2, len(a_ne)), dtype=np.int64)
    low_n, high_n = partner_n - np.float32(TIE), partner_n + np.float32(TIE)
    for rows, columns in tiles:
        similarity = a_ne[rows] @ b_ne[columns].T
        for side, at in enumerate((rows, columns)[:sides]):
            shape = (-1, 1) if side == 0 else (1, -1)
            above = np.count_nonzero(similarity > high_n[at].reshape(shape), axis=1 - side)
            counts_skn[side, 0, at] += above
            counts_skn[side, 1, at] += np.count_nonzero(similarity >= low_n[at].reshape(shape), axis=1 - side) - above
    counts_skn[:, 1] -= 1  # the partner equals itself
    return counts_skn


def _tiles(n: int) -> Iterator[tuple[Rows, Rows]]:
    for row in range(0, n, _QUERIES_AT_ONCE):
        for column in range(0, n, _CANDIDATES_AT_ONCE):
            yield slice(row, row + _QUERIES_AT_ONCE), slice(column, column + _CANDIDATES_AT_ONCE)


def _within(groups_n: np.ndarray) -> Iterator[tuple[Rows, Rows]]:
    _, group_n, sizes = np.unique(groups_n, return_inverse=True, return_counts=True)
    for member_n in np.split(np.argsort(group_n, kind="stable"), np.cumsum(sizes)[:-1]):
        yield member_n, member_n


def _sizes(groups_n: np.ndarray) -> np.ndarray:
    _, group_n, sizes = np.unique(groups_n, return_inverse=True, return_counts=True)
    return sizes[group_n]


def _expected_top(k: int, better_n: np.ndarray, tied_n: np.ndarray, others_n: np.ndarray, drawn_n: np.ndarray) -> np.ndarray:
    """Return (query,) the chance that fewer than k of the drawn candidates stand before the partner.

    Of `others_n` candidates `drawn_n` are drawn. Among `tied_n` equals every place is as likely.
    """
    chance_n = _fewer_than(k, better_n, others_n, drawn_n)
    tied = np.flatnonzero(tied_n)
    cases, case_n = np.unique(np.stack([a[tied] for a in (better_n, tied_n, others_n, drawn_n)]), axis=1, return_inverse=True)
    chance_c = [_fewer_than(k, before + np.arange(equal + 1), others, drawn).mean() for before, equal, others, drawn in cases.T]
    chance_n[tied] = np.array(chance_c)[case_n] if tied.size else []
    return chance_n


def _fewer_than(k: int, before_n: np.ndarray, others_n: np.ndarray, drawn_n: np.ndarray) -> np.ndarray:
    """Return the hypergeometric chance of fewer than k of `before_n` among `drawn_n` of `others_n`."""
    after_n = others_n - before_n
    total_n = _log_choose(others_n, drawn_n)
    chance_n = np.zeros(np.broadcast(before_n, drawn_n).shape)
    for hit in range(k):
        possible = (hit <= before_n) & (drawn_n - hit <= after_n) & (hit <= drawn_n)
        term_n = _log_choose(before_n, np.minimum(hit, before_n)) + _log_choose(after_n, np.clip(drawn_n - hit, 0, after_n))
        chance_n += np.where(possible, np.exp(term_n - total_n), 0)
    return np.minimum(chance_n, 1)


def _log_choose(n: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(np.asarray(k) + 1) - gammaln(n - k + 1)
