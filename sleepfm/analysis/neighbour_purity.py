"""Does a map's embedding know where a night was recorded? The share of nearest neighbours that carry the same label.

A row's neighbours are looked up among other people's rows only: two nights of one person are alike because of the person. The
share is read beside the one that chance alone gives, drawing among other people's rows without looking at the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sleepfm.analysis.estimates import Estimate, undefined
from sleepfm.analysis.matching import wilson
from sleepfm.analysis.resampling import RESAMPLES, bootstrap
from sleepfm.progress import Progress, silent

NEIGHBOURS = 20
"""Neighbours looked at for each row, where there are rows enough."""
_ROWS_A_NEIGHBOUR = 5
MOST_GROUPS = 12
NOBODY = -1
"""Stands for a missing neighbour, and for a missing label."""
_CELLS_AT_ONCE = 16_000_000


def neighbours_of(rows: int) -> int:
    """Return how many neighbours to look at among so many rows: at most a fifth, else they are everybody and say nothing."""
    return min(NEIGHBOURS, max(1, rows // _ROWS_A_NEIGHBOUR))


def nearest_others(
    x_ne: np.ndarray, subject_n: np.ndarray, query_q: np.ndarray, *, k: int = NEIGHBOURS, progress: Progress = silent
) -> np.ndarray:
    """Return the nearest rows of other people by cosine, exactly, nearest first.

    Parameters
    ----------
    x_ne
        (row, E) unit vectors.
    subject_n
        (row,) number of the person of each row.
    query_q
        (query,) the rows whose neighbours are wanted.
    k
        How many of each.
    progress
        May raise Cancelled.

    Returns
    -------
    np.ndarray
        (query, k) int32 rows; `NOBODY` where other people have fewer than `k` rows.
    """
    queries_qe, subject_q = x_ne[query_q], subject_n[query_q]
    best_qk = np.full((len(query_q), k), -np.inf, np.float32)
    row_qk = np.full((len(query_q), k), NOBODY, np.int32)
    step = max(k, _CELLS_AT_ONCE // max(len(query_q), 1))
    for first in range(0, len(x_ne), step):
        progress(first / len(x_ne), f"neighbours: row {first:,} of {len(x_ne):,}")
        block = slice(first, first + step)
        similarity_qn = queries_qe @ x_ne[block].T
        similarity_qn[subject_q[:, None] == subject_n[block]] = -np.inf
        # after the first block few rows still come closer than what is there, and only those are sorted in
        closer_q = np.flatnonzero((similarity_qn > best_qk[:, -1:]).any(axis=1))
        found_qn = similarity_qn[closer_q]
        width = min(k, found_qn.shape[1])
        top_qk = np.argpartition(-found_qn, width - 1, axis=1)[:, :width]
        both_qk = np.hstack([best_qk[closer_q], np.take_along_axis(found_qn, top_qk, axis=1)])
        rows_qk = np.hstack([row_qk[closer_q], (first + top_qk).astype(np.int32)])
        order_qk = np.argsort(-both_qk, axis=1, kind="stable")[:, :k]
        best_qk[closer_q] = np.take_along_axis(both_qk, order_qk, axis=1)
        row_qk[closer_q] = np.take_along_axis(rows_qk, order_qk, axis=1)
    row_qk[np.isneginf(best_qk)] = NOBODY
    return row_qk


@dataclass(frozen=True)
class Purity:
    """How often neighbours share a label.

    Attributes
    ----------
    share
        Mean over rows of the share of their neighbours with the same label (0 to 1), with its interval over people. Where all or
        none of the neighbours share it a bootstrap has no width, however few the people are: the interval is Wilson's then.
    chance
        The same share if neighbours were drawn at random among other people's rows; None where there is none.
    by_label
        Label → the same for the rows that carry it; of many groups the `MOST_GROUPS` that most of the asked rows are of.
    """

    share: Estimate
    chance: float | None
    by_label: dict[int, tuple[Estimate, float | None]]


def purity(
    label_n: np.ndarray, subject_n: np.ndarray, query_q: np.ndarray, neighbour_qk: np.ndarray, *, resamples: int = RESAMPLES
) -> Purity:
    """Compute how often neighbours share a label.

    Parameters
    ----------
    label_n
        (row,) number of each row's label (site, age group, …) from 0; `NOBODY` where it is not known. Such a row is neither asked
        nor counted as a neighbour.
    subject_n
        (row,) number of the person of each row.
    query_q, neighbour_qk
        As `nearest_others` was given and gave.
    resamples
        Of people, for the intervals.
    """
    label_q = label_n[query_q]
    neighbour_label_qk = np.where(neighbour_qk == NOBODY, NOBODY, label_n[neighbour_qk])
    labelled_q = (neighbour_label_qk != NOBODY).sum(axis=1)
    asked_q = (label_q != NOBODY) & (labelled_q > 0)
    label_q, subject_q = label_q[asked_q], subject_n[query_q][asked_q]
    share_q = (neighbour_label_qk[asked_q] == label_q[:, None]).sum(axis=1) / labelled_q[asked_q]
    chance_q = _chance(label_n, subject_n, label_q, subject_q)
    counts_l = np.bincount(label_n[label_n != NOBODY])
    if np.count_nonzero(counts_l) < 2:
        reason = "fewer than two groups: there is nothing to tell apart"
        return Purity(undefined(reason, n=len(share_q), subjects=np.unique(subject_q).size), None, {})
    if not share_q.size:
        return Purity(undefined("no row of a known group has neighbours of other people", n=0, subjects=0), None, {})
    people = bootstrap(subject_q, resamples=resamples)
    by_label: dict[int, tuple[Estimate, float | None]] = {}
    for label in np.argsort(-np.bincount(label_q), kind="stable")[:MOST_GROUPS]:
        of_label_q = label_q == label
        if not of_label_q.any():
            break
        part = people.part(of_label_q)
        by_label[int(label)] = (
            _of_people(part.estimate(part.sample_mean(share_q[of_label_q]))),
            float(chance_q[of_label_q].mean()),
        )
    return Purity(_of_people(people.estimate(people.sample_mean(share_q))), float(chance_q.mean()), by_label)


def _of_people(share: Estimate) -> Estimate:
    """Return a share with Wilson's interval over its people where every resample gave the same, all or nothing."""
    if share.value not in (0.0, 1.0) or share.low is None or share.low != share.high:
        return share
    low, high = wilson(share.value, share.subjects)
    return replace(share, low=low, high=high)


def _chance(label_n: np.ndarray, subject_n: np.ndarray, label_q: np.ndarray, subject_q: np.ndarray) -> np.ndarray:
    """Return (query,) the share of other people's labelled rows that carry the query's label."""
    known_n = label_n != NOBODY
    if not label_q.size:
        return np.empty(0)
    labels, subjects = int(label_n.max()) + 1, int(subject_n.max()) + 1
    of_label_l = np.bincount(label_n[known_n], minlength=labels)
    of_subject_s = np.bincount(subject_n[known_n], minlength=subjects)
    pair_n = subject_n[known_n].astype(np.int64) * labels + label_n[known_n]
    pair_q = subject_q.astype(np.int64) * labels + label_q
    if labels * subjects <= _CELLS_AT_ONCE:
        own_q = np.bincount(pair_n, minlength=labels * subjects)[pair_q]
    else:
        pairs, counts = np.unique(pair_n, return_counts=True)
        own_q = counts[np.searchsorted(pairs, pair_q)]
    return np.asarray((of_label_l[label_q] - own_q) / (known_n.sum() - of_subject_s[subject_q]))
