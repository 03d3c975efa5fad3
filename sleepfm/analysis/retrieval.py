"""Cross-modal retrieval: where the partner of a window in another modality ranks, given one modality's embedding.

Every window is compared with every other one, block by block, so memory does not grow with their number. From the number of
windows more similar than the partner, the top-k rate among N random candidates follows exactly (hypergeometric), so 1,000, 10,000
and 90,000 candidates need one pass and no drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from threadpoolctl import ThreadpoolController

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled
from sleepfm.progress import Progress, silent

TIE = 1e-6
"""Cosine similarities that lie closer than this count as equal: float32 products of 128 numbers are not more exact."""
TOP = (1, 10)
TILE = 1024
"""Windows by windows that are compared at once: their similarities are counted while they are in the cache."""
_QUERIES_AT_ONCE = _CANDIDATES_AT_ONCE = TILE

Rows = slice | np.ndarray
Tile = tuple[Rows, Rows]


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
    with _workers() as pool:
        for done, (a, b) in enumerate(pairs):
            window_n = np.flatnonzero(present_mn[a] & present_mn[b])
            both = unit_mne[a, window_n], unit_mne[b, window_n]
            found[a, b], found[b, a] = _rank(pool, both, window_n, nights_n, subjects_n, sides=2)
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
    with _workers() as pool:
        for target in range(len(unit_mne)):
            others = [m for m in range(len(unit_mne)) if m != target]
            window_n = np.flatnonzero(present_mn[target] & present_mn[others].any(axis=0))
            both = _normalised(unit_mne[others][:, window_n].sum(axis=0)), unit_mne[target, window_n]
            (found[target],) = _rank(pool, both, window_n, nights_n, subjects_n, sides=1)
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
    pool: ThreadPoolExecutor,
    both: tuple[np.ndarray, np.ndarray],
    window_n: np.ndarray,
    nights_n: np.ndarray,
    subjects_n: np.ndarray,
    *,
    sides: int,
) -> list[PairRanks]:
    """Rank b's windows for the queries a and, with two sides, a's for the queries b: the same products serve both."""
    a_ne, b_ne = both
    n = len(a_ne)
    night_n, subject_n = np.asarray(nights_n)[window_n], np.asarray(subjects_n)[window_n]
    everyone = _count(pool, a_ne, b_ne, _bands(n), sides)
    person = _count(pool, a_ne, b_ne, _bands_within(subject_n), sides)
    night = _count(pool, a_ne, b_ne, _bands_within(night_n), sides)
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


def _count(pool: ThreadPoolExecutor, a_ne: np.ndarray, b_ne: np.ndarray, bands: list[list[Tile]], sides: int) -> np.ndarray:
    """Return (side, better or tied, query) how many candidates beat and how many equal the partner, over all tiles."""
    partner_n = np.einsum("ne,ne->n", a_ne, b_ne)
    low_n, high_n = partner_n - np.float32(TIE), partner_n + np.float32(TIE)

    def of_band(band: list[Tile]) -> list[list[np.ndarray]]:
        found = []
        for rows, columns in band:
            similarity = a_ne[rows] @ b_ne[columns].T
            queries = (low_n[rows, None], high_n[rows, None]), (low_n[columns], high_n[columns])
            found.append([_counts(similarity, *queries[side], axis=1 - side) for side in range(sides)])
        return found

    counts_skn = np.zeros((sides, 2, len(a_ne)), dtype=np.int64)
    for band, found in zip(bands, pool.map(of_band, bands), strict=True):
        for tile, of_sides in zip(band, found, strict=True):
            for side, counts_kq in enumerate(of_sides):
                counts_skn[side][:, tile[side]] += counts_kq
    counts_skn[:, 1] -= counts_skn[:, 0] + 1  # neither lower nor better is equal, as the partner itself is
    return counts_skn


def _counts(similarity: np.ndarray, low: np.ndarray, high: np.ndarray, *, axis: int) -> np.ndarray:
    """Return (better or not lower, query) counts along an axis; `low` and `high` broadcast against the similarities."""
    rows, columns = similarity.shape
    found = np.empty((rows, -(-columns // 8) * 8), dtype=bool)
    found[:, columns:] = False
    counts = []
    for compare, bound in ((np.greater, high), (np.greater_equal, low)):
        compare(similarity, bound, out=found[:, :columns])
        counts.append(_count_true(found, axis)[: similarity.shape[1 - axis]])
    return np.stack(counts)


def _count_true(found: np.ndarray, axis: int) -> np.ndarray:
    """Count along an axis; rows are whole words of eight truth values, which are added eight at a time."""
    words = found.view(np.uint64)
    counts = np.zeros(found.shape[1 - axis], dtype=np.int64)
    for first in range(0, words.shape[axis], 255):  # a byte counts no further
        sums = np.add.reduce(words[:, first : first + 255] if axis else words[first : first + 255], axis=axis).view(np.uint8)
        counts += sums.reshape(-1, 8).sum(axis=1, dtype=np.int64) if axis else sums
    return counts


def product_threads() -> int:
    """Return how many threads numpy's matrix product takes; 1 where it does not say."""
    return _threads(ThreadpoolController())


def _threads(libraries: ThreadpoolController) -> int:
    return min((one.num_threads for one in libraries.select(user_api="blas").lib_controllers), default=1)


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Give as many threads as a matrix product takes, and hold each product to one meanwhile."""
    libraries = ThreadpoolController()
    with ThreadPoolExecutor(_threads(libraries)) as pool, libraries.limit(limits=1, user_api="blas"):
        yield pool


def _bands(n: int) -> list[list[Tile]]:
    """Return the tiles of all windows among each other, by rows."""
    columns = _slices(n, _CANDIDATES_AT_ONCE)
    return [[(rows, some) for some in columns] for rows in _slices(n, _QUERIES_AT_ONCE)]


def _bands_within(groups_n: np.ndarray) -> list[list[Tile]]:
    """Return the tiles of each group's windows among each other."""
    _, group_n, sizes = np.unique(groups_n, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group_n, kind="stable"), np.cumsum(sizes)[:-1])
    return [[(of[rows], of[columns]) for rows, columns in band] for of in members for band in _bands(of.size)]


def _slices(n: int, length: int) -> list[slice]:
    return [slice(first, min(first + length, n)) for first in range(0, n, length)]


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
