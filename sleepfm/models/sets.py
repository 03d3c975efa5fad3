"""Sets of channels without padding: rows that stand set after set, and how many rows each set has.

A set is the channels of one modality of one window. Rows are channels; sets stand modality-major (all windows of the first
modality, then all of the next). A set of no rows is a modality that the window lacks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def check_sets(x_rt: Tensor, counts_mn: Tensor) -> None:
    """Raise ValueError when rows and counts do not belong together, or when there is no row at all."""
    if x_rt.ndim != 2 or counts_mn.ndim != 2:
        raise ValueError(
            f"rows must be (row, time) and counts (modality, window); they are {tuple(x_rt.shape)} and {tuple(counts_mn.shape)}"
        )
    if bool((counts_mn < 0).any()) or int(counts_mn.sum()) != len(x_rt):
        raise ValueError(f"the counts add up to {int(counts_mn.sum())} rows, there are {len(x_rt)}")
    if not len(x_rt):
        raise ValueError("there is no channel in any window")


def sets_by_size(counts_mn: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the sets of each size together.

    Parameters
    ----------
    counts_mn
        (modality, window) int64 on the CPU: rows of each set.

    Yields
    ------
    tuple
        sets_n, the sets' numbers (modality-major), and rows_nc, (set, channel), where their rows stand; smallest sets first,
        absent sets never.
    """
    count_s = counts_mn.flatten()
    start_s = count_s.cumsum(0) - count_s
    for size in torch.unique(count_s[count_s > 0]).tolist():
        sets_n = torch.nonzero(count_s == size).flatten()
        yield sets_n, start_s[sets_n].unsqueeze(1) + torch.arange(size)


def spread_sets(z_n: Tensor, sets_n: Tensor, counts_mn: Tensor) -> Tensor:
    """Return (modality, window, …): what was computed for some sets in their places, zeros elsewhere.

    Parameters
    ----------
    z_n
        (set, …).
    sets_n
        The sets' numbers (modality-major).
    """
    spread = z_n.new_zeros(counts_mn.numel(), *z_n.shape[1:])
    return spread.index_copy(0, sets_n.to(z_n.device), z_n).unflatten(0, tuple(counts_mn.shape))
