"""Masked self-supervision: what a left-out modality looked like, predicted from the sample's other modalities.

The targets are the band powers of the signals themselves, not embeddings: a network that also makes its own targets can make
them constant and so predict them perfectly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sleepfm.models.sets import check_sets
from sleepfm.training.collectives import sum_all
from sleepfm.training.loss import Loss
from sleepfm.vocabulary import TOKEN_SAMPLES, Modality

FLOOR = 1e-4
"""Band power, relative to white noise of unit variance, below which a signal counts as silent (-40 dB)."""


def draw_left_out(present_mn: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the modality of each sample that is to be predicted.

    Parameters
    ----------
    present_mn
        (modality, sample) bool.
    generator
        Where chance comes from, on the CPU.

    Returns
    -------
    Tensor
        (modality, sample) bool: one of the modalities present, each as likely; none where fewer than two are present.
    """
    present_mn = present_mn.cpu()
    lot_mn = torch.rand(present_mn.shape, generator=generator).masked_fill(~present_mn, -1.0)
    left_out_mn = torch.zeros_like(present_mn).scatter_(0, lot_mn.argmax(dim=0, keepdim=True), value=True)
    return left_out_mn & (present_mn.sum(dim=0) > 1)


def band_edges(bands: int = 24, patch_size: int = TOKEN_SAMPLES) -> list[int]:
    """Return where frequency bands begin and end, as numbers of the Fourier bins of one token.

    They are evenly spaced in log frequency from the lowest frequency (bin 1; 0.2 Hz for 5 s) to half the sampling rate. Where
    they would be narrower than one bin they merge, so there may be fewer than asked for (21 for 24 and 640 samples).
    """
    edges = np.rint(np.geomspace(1, patch_size // 2 + 1, bands + 1)).astype(int)
    return [int(edge) for edge in np.unique(edges)]


def band_powers(x_rt: Tensor, counts_mn: Tensor, *, bands: int = 24, patch_size: int = TOKEN_SAMPLES) -> Tensor:
    """Return the log power of each token in frequency bands, averaged over the channels of each set.

    Parameters
    ----------
    x_rt
        (row, time) standardised signal, one row a channel, set after set (see `sleepfm.models.sets`).
    counts_mn
        (modality, window) int64 on the CPU: rows of each set.
    bands
        See `band_edges`.
    patch_size
        Samples in a token.

    Returns
    -------
    Tensor
        target_mnsd, (modality, window, token, band) float32, natural logarithm, relative to white noise of unit variance, at
        least log(1e-4); zeros where the window lacks the modality.

    Raises
    ------
    ValueError
        When counts and rows do not belong together or the time is not a whole number of tokens.
    """
    check_sets(x_rt, counts_mn)
    if x_rt.shape[1] % patch_size:
        raise ValueError(f"{x_rt.shape[1]} samples are not a whole number of patches of {patch_size}")
    window_p = torch.hann_window(patch_size, device=x_rt.device)
    x_rsp = x_rt.float().unflatten(1, (-1, patch_size)) * window_p
    power_rsf = torch.fft.rfft(x_rsp).abs().square() / window_p.square().sum()
    bands_d = list(pairwise(band_edges(bands, patch_size)))
    power_rsd = torch.stack([power_rsf[..., low:high].mean(dim=-1) for low, high in bands_d], dim=-1)
    count_n = counts_mn.flatten()
    set_r = torch.repeat_interleave(torch.arange(len(count_n)), count_n).to(x_rt.device)
    total_nsd = power_rsd.new_zeros(len(count_n), *power_rsd.shape[1:]).index_add(0, set_r, power_rsd.clamp(min=FLOOR).log())
    return (total_nsd / count_n.clamp(min=1).to(x_rt.device)[:, None, None]).unflatten(0, tuple(counts_mn.shape))


def masked_reconstruction(
    predicted_mnsd: Tensor, target_mnsd: Tensor, left_out_mn: Tensor, *, names: Sequence[str] = tuple(Modality)
) -> Loss:
    """Return the mean squared error of the left-out modalities' tokens, each left-out set counting the same.

    Parameters
    ----------
    predicted_mnsd
        (modality, sample, token, feature): what the network says each modality looks like, made without the left-out ones.
    target_mnsd
        The same of the signals (`band_powers`); no gradient reaches it.
    left_out_mn
        (modality, sample) bool: the sets to be judged. Everything else may hold anything.
    names
        One name a modality.

    Returns
    -------
    Loss
        Of the global batch; 0 with zero gradients when nothing was left out. Metrics: `sets` judged, and by modality
        `error/<name>` (mean squared error) and `explained/<name>`: 1 minus the error relative to that of always predicting the
        mean of this modality's targets in the batch, feature by feature; 0 is no better than that.

    Raises
    ------
    ValueError
        When the shapes or names do not fit.
    """
    if (
        predicted_mnsd.shape != target_mnsd.shape
        or predicted_mnsd.shape[:2] != left_out_mn.shape
        or len(names) != len(left_out_mn)
    ):
        raise ValueError(
            f"predictions {tuple(predicted_mnsd.shape)}, targets {tuple(target_mnsd.shape)}, what is left out"
            f" {tuple(left_out_mn.shape)} and {len(names)} names do not fit"
        )
    left_out_mn = left_out_mn.to(predicted_mnsd.device)
    other_mn11 = ~left_out_mn[:, :, None, None]
    predicted_mnsd = predicted_mnsd.float().masked_fill(other_mn11, 0.0)
    target_mnsd = target_mnsd.detach().to(predicted_mnsd).masked_fill(other_mn11, 0.0)
    error_m = (predicted_mnsd - target_mnsd).square().mean(dim=(2, 3)).sum(dim=1)
    sets_m = sum_all(left_out_mn.sum(dim=1))
    value = sum_all(error_m.sum()) / sets_m.sum().clamp(min=1)
    return Loss(value, _metrics(error_m.detach(), target_mnsd, sets_m, names), scored=float(sets_m.sum()))


@torch.no_grad()
def _metrics(error_m: Tensor, target_mnsd: Tensor, sets_m: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Return the errors and what of the targets' variance is explained; error_m is this process's, sets_m is everybody's."""
    tokens, features = target_mnsd.shape[2:]
    target_mnsd = target_mnsd.double()
    mine_mf = torch.cat(
        [error_m.double().unsqueeze(1), target_mnsd.sum(dim=(1, 2)), target_mnsd.square().sum(dim=(1, 2))],
        dim=1,
    )
    error_m1, total_md, squares_md = sum_all(mine_mf).cpu().split([1, features, features], dim=1)
    metrics = {"sets": float(sets_m.sum())}
    for name, sets, error, total_d, squares_d in zip(
        names, sets_m.tolist(), error_m1.squeeze(1), total_md, squares_md, strict=True
    ):
        if not sets:
            continue
        metrics[f"error/{name}"] = float(error) / sets
        spread = float((squares_d - total_d.square() / (sets * tokens)).sum()) / features / tokens
        if spread > 1e-12 * float(squares_d.sum()):  # more than the rounding of targets that are all alike
            metrics[f"explained/{name}"] = 1.0 - float(error) / spread
    return metrics
