"""Contrastive losses between the modalities of one window: leave-one-out and pairwise, over the modalities that are present.

Embeddings are L2-normalised, the logits are dot products times exp(log_temperature), and each query is asked to find its own
partner among the partners of all samples of the global batch (InfoNCE). A *term* is a direction of one comparison:

- leave-one-out: `BAS>others` (queries BAS, candidates the mean of the other modalities present, not normalised again) and
  `others>BAS`, for each modality (Thapa et al., ICML 2024 and Nature Medicine 2026);
- pairwise: `BAS>EKG`, for each ordered pair.

A sample takes part in a term only where both sides exist. Absent modalities are neither queries nor candidates, so a sample's
absence equals its removal. The loss is the mean over all queries of all terms, each query counting the same; with everything
present that is the mean over terms and samples, as published. A query without any negative has nothing to choose from and is
left out. A batch without any query (a single sample, or nowhere two modalities) has the loss 0 with zero gradients, and its
metrics say `queries: 0`.

Every process passes its own samples and returns the loss of the global batch (see `sleepfm.training.collectives`); it computes
the logits of its own queries only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from sleepfm.training.collectives import gather_rows, gather_rows_plain, row_counts, sum_all, world
from sleepfm.training.loss import Loss
from sleepfm.vocabulary import Modality

SameNight = Literal["keep", "drop"]
"""Whether other windows of the same recording are negatives like any other, or are left out of the softmax."""
MODALITY_NAMES: tuple[str, ...] = tuple(Modality)


def leave_one_out(
    z_mne: Tensor,
    present_mn: Tensor,
    log_temperature: Tensor,
    *,
    group_n: Tensor | None = None,
    same_night: SameNight = "keep",
    names: Sequence[str] = MODALITY_NAMES,
) -> Loss:
    """Contrast each modality with the mean of the sample's other modalities.

    Parameters
    ----------
    z_mne
        (modality, sample, E) embeddings of this process's samples, not normalised; rows of absent modalities may hold anything.
    present_mn
        (modality, sample) bool.
    log_temperature
        Scalar parameter of the learner. Values below 0 count as 0, but the gradient still reaches them.
    group_n
        (sample,) int, the number of each sample's recording, the same for all processes; None when unknown.
    same_night
        See `SameNight`; "drop" needs `group_n`.
    names
        One name a modality.

    Returns
    -------
    Loss
        Metrics: `queries` (how many were scored), `chance` (the top-1 accuracy of guessing), `top1` and `top1/<term>`; with
        `group_n` also `top1_other_nights...` (candidates of other recordings only), `top1_same_night...` (of the same
        recording only) and `same_night_negatives` (the share of the same recording among all negatives, dropped ones
        included). A tie counts as a miss.

    Raises
    ------
    ValueError
        When shapes or names do not fit each other, or "drop" has no `group_n`.
    """
    batch = _Batch.of(z_mne, present_mn, group_n, same_night=same_night, names=names)
    z_mne, all_mne = batch.mine_mne, batch.all_mne
    other_mn = (batch.all_present_mn.sum(dim=0) - batch.all_present_mn.long()).float()
    takes_part_mn = batch.all_present_mn & (other_mn > 0)
    others_mne = (all_mne.sum(dim=0) - all_mne) / other_mn.clamp(min=1).unsqueeze(-1)
    return _contrast(
        torch.cat([z_mne, others_mne[:, batch.mine]]),
        torch.cat([others_mne, all_mne]),
        takes_part_mn.repeat(2, 1),
        terms=[f"{name}>others" for name in names] + [f"others>{name}" for name in names],
        log_temperature=log_temperature,
        batch=batch,
    )


def pairwise(
    z_mne: Tensor,
    present_mn: Tensor,
    log_temperature: Tensor,
    *,
    group_n: Tensor | None = None,
    same_night: SameNight = "keep",
    names: Sequence[str] = MODALITY_NAMES,
) -> Loss:
    """Contrast each modality with each other one; parameters, metrics and errors as in `leave_one_out`."""
    batch = _Batch.of(z_mne, present_mn, group_n, same_night=same_night, names=names)
    pairs = [(query, target) for query in range(len(names)) for target in range(len(names)) if query != target]
    queries, targets = [query for query, _ in pairs], [target for _, target in pairs]
    return _contrast(
        batch.mine_mne[queries],
        batch.all_mne[targets],
        batch.all_present_mn[queries] & batch.all_present_mn[targets],
        terms=[f"{names[query]}>{names[target]}" for query, target in pairs],
        log_temperature=log_temperature,
        batch=batch,
    )


@dataclass(frozen=True)
class _Batch:
    """The global batch, and where this process's samples stand in it. Embeddings are normalised, zeros where absent."""

    mine_mne: Tensor
    all_mne: Tensor
    all_present_mn: Tensor
    mine: slice
    same_night_qc: Tensor | None
    """(my sample, any sample) bool: of one recording; None when recordings are unknown."""
    drops_same_night: bool

    @classmethod
    def of(
        cls, z_mne: Tensor, present_mn: Tensor, group_n: Tensor | None, *, same_night: SameNight, names: Sequence[str]
    ) -> _Batch:
        if z_mne.shape[:2] != present_mn.shape or len(names) != len(z_mne):
            raise ValueError(
                f"embeddings {tuple(z_mne.shape)}, presence {tuple(present_mn.shape)} and {len(names)} names do not fit"
            )
        if group_n is None and same_night == "drop":
            raise ValueError("negatives of the same night cannot be dropped without the samples' recordings (group_n)")
        if group_n is not None and group_n.shape != z_mne.shape[1:2]:
            raise ValueError(f"{tuple(group_n.shape)} recordings do not fit {z_mne.shape[1]} samples")
        present_mn = present_mn.to(z_mne.device)
        counts = row_counts(z_mne.shape[1], z_mne.device)
        mine_mne = F.normalize(z_mne.float().masked_fill(~present_mn.unsqueeze(-1), 0.0), dim=-1)
        first = sum(counts[: world()[0]])
        same_qc = None
        if group_n is not None:
            group_n = group_n.to(z_mne.device)
            same_qc = group_n.unsqueeze(1) == gather_rows_plain(group_n, counts).unsqueeze(0)
        return cls(
            mine_mne,
            gather_rows(mine_mne.transpose(0, 1), counts).transpose(0, 1),
            gather_rows_plain(present_mn.transpose(0, 1), counts).transpose(0, 1),
            slice(first, first + z_mne.shape[1]),
            same_qc,
            same_night == "drop",
        )


def _contrast(
    queries_tqe: Tensor,
    candidates_tce: Tensor,
    takes_part_tc: Tensor,
    *,
    terms: Sequence[str],
    log_temperature: Tensor,
    batch: _Batch,
) -> Loss:
    """Score this process's queries (sample `batch.mine`) against all candidates, term by term, and add up all processes."""
    takes_part_tq = takes_part_tc[:, batch.mine]
    own_qc = torch.zeros(takes_part_tq.shape[1], takes_part_tc.shape[1], dtype=torch.bool, device=queries_tqe.device)
    own_qc[:, batch.mine].fill_diagonal_(fill_value=True)
    negative_tqc = takes_part_tq.unsqueeze(2) & takes_part_tc.unsqueeze(1) & ~own_qc
    contests = {}
    if batch.same_night_qc is not None:
        contests["top1_other_nights"] = negative_tqc & ~batch.same_night_qc
        contests["top1_same_night"] = negative_tqc & batch.same_night_qc
    rival_tqc = contests["top1_other_nights"] if batch.drops_same_night else negative_tqc
    contests["top1"] = rival_tqc
    scored_tq = rival_tqc.any(dim=2)

    # The value is clamped, the gradient is not, so that a parameter that an optimiser pushed below 0 can return.
    log_scale = log_temperature.float()
    log_scale = log_scale + (log_scale.clamp(min=0) - log_scale).detach()
    with torch.autocast(queries_tqe.device.type, enabled=False):
        logits_tqc = queries_tqe @ candidates_tce.transpose(1, 2) * log_scale.exp()
    own_tq = logits_tqc.masked_fill(~own_qc, 0.0).sum(dim=2)
    # The own candidate stays in even where nothing is scored: a softmax over nothing would have NaN gradients.
    loss_tq = logits_tqc.masked_fill(~(rival_tqc | own_qc), -torch.inf).logsumexp(dim=2) - own_tq
    queries = sum_all(scored_tq.sum())
    value = sum_all(loss_tq.masked_fill(~scored_tq, 0.0).sum()) / queries.clamp(min=1)
    metrics = _metrics(contests, logits_tqc.detach() >= own_tq.detach().unsqueeze(2), terms)
    return Loss(value, metrics, scored=metrics["queries"])


@torch.no_grad()
def _metrics(contests: dict[str, Tensor], beats_tqc: Tensor, terms: Sequence[str]) -> dict[str, float]:
    """Return the top-1 accuracies of the global batch, by term and over all terms.

    `contests` names what a query's own candidate is compared with: (term, query, candidate) bool. `beats_tqc` tells where a
    candidate is at least as similar to the query as its own.
    """
    tallies = []
    for rival_tqc in contests.values():
        rivals_tq = rival_tqc.sum(dim=2)
        asked_tq = rivals_tq > 0
        won_tq = asked_tq & ~(rival_tqc & beats_tqc).any(dim=2)
        guessed_tq = asked_tq / (rivals_tq + 1.0)
        tallies.append(
            torch.stack([won_tq.sum(dim=1), asked_tq.sum(dim=1), rivals_tq.sum(dim=1), guessed_tq.double().sum(dim=1)])
        )
    tally_c4t = dict(zip(contests, sum_all(torch.stack(tallies)).cpu(), strict=True))

    _, queries, _, guessed = tally_c4t["top1"].sum(dim=1).tolist()
    metrics = {"queries": queries}
    if queries:
        metrics["chance"] = guessed / queries
    for name, (won_t, asked_t, _, _) in tally_c4t.items():
        if asked_t.any():
            metrics[name] = float(won_t.sum() / asked_t.sum())
        metrics |= {f"{name}/{term}": float(won_t[t] / asked_t[t]) for t, term in enumerate(terms) if asked_t[t]}
    if "top1_same_night" in tally_c4t:
        same, other = (float(tally_c4t[name][2].sum()) for name in ("top1_same_night", "top1_other_nights"))
        if same + other:
            metrics["same_night_negatives"] = same / (same + other)
    return metrics
