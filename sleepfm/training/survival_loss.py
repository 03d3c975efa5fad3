"""Cox partial likelihood for many conditions at once, with ties after Efron or Breslow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sleepfm.training.collectives import gather_rows, gather_rows_plain, row_counts
from sleepfm.training.loss import Loss

Ties = Literal["efron", "breslow", "published"]
"""How events at the same time share their risk set.

`efron` (Efron 1977; the default of R's survival package) and `breslow` (Breslow 1974). `published`: as the published code,
which knows no ties (whoever is sorted first among equals leaves the risk set first) and counts conditions without events as 0
in the mean over all conditions.
"""


@dataclass(frozen=True, kw_only=True)
class CoxLoss(Loss):
    """The mean over the conditions that have events, and what it is the mean of.

    Metrics: `nights` in the batch, `events` of all conditions, `conditions_with_events`, `conditions_without_events`.

    Parameters
    ----------
    loss_k
        (condition,) negative log partial likelihood per event, detached; NaN where the condition has no event.
    events_k
        (condition,) int64, number of events in the global batch.
    """

    loss_k: Tensor
    events_k: Tensor


def cox(
    log_hazard_nk: Tensor, time_nk: Tensor, event_nk: Tensor, known_nk: Tensor | None = None, *, ties: Ties = "efron"
) -> CoxLoss:
    """Return the negative log partial likelihood per event, averaged over the conditions that have events.

    For each condition, an event at time t is compared with everyone whose time is t or later (the risk set) among the nights
    of the global batch: pass the concatenated outputs of accumulated batches to widen it; processes are gathered here. All of
    them return the same loss. Conditions without events are counted in the metrics, not averaged in as zero; without any event
    the loss is 0 with zero gradients.

    Parameters
    ----------
    log_hazard_nk
        (night, condition) floating point, this process's nights.
    time_nk
        (night, condition) time to the event or to censoring, any unit.
    event_nk
        (night, condition) bool (or 0 and 1): whether the event was seen.
    known_nk
        (night, condition) bool; a night whose label is unknown is neither an event nor in a risk set. None: all known.
    ties
        See `Ties`.

    Raises
    ------
    ValueError
        When the shapes differ, or a known time is not finite.
    """
    if known_nk is None:
        known_nk = torch.ones_like(event_nk, dtype=torch.bool)
    if not log_hazard_nk.shape == time_nk.shape == event_nk.shape == known_nk.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (log_hazard_nk, time_nk, event_nk, known_nk))
        raise ValueError(f"hazards, times, events and what is known differ in shape: {shapes}")
    counts = row_counts(len(log_hazard_nk), log_hazard_nk.device)
    precise = torch.promote_types(log_hazard_nk.dtype, torch.float32)
    log_hazard_nk = gather_rows(log_hazard_nk.to(precise), counts)
    device = log_hazard_nk.device
    time_nk, event_nk, known_nk = (gather_rows_plain(x.to(device), counts) for x in (time_nk, event_nk.bool(), known_nk.bool()))
    if not bool(torch.isfinite(time_nk[known_nk]).all()):
        raise ValueError("a known time to an event is not finite: mark its label as unknown")

    # From the latest to the earliest, so that a risk set is what stands above; the unknown last, where no risk set reaches.
    time_nk, order_nk = time_nk.masked_fill(~known_nk, -torch.inf).sort(dim=0, descending=True, stable=True)
    event_nk = (event_nk & known_nk).gather(0, order_nk)
    log_hazard_nk = log_hazard_nk.masked_fill(~known_nk, 0.0).gather(0, order_nk)
    log_risk_nk = log_hazard_nk.logcumsumexp(dim=0)
    if ties != "published":
        log_risk_nk = _with_ties(log_hazard_nk, log_risk_nk, time_nk, event_nk, ties)
    events_k = event_nk.sum(dim=0)
    loss_k = (log_risk_nk - log_hazard_nk).masked_fill(~event_nk, 0.0).sum(dim=0) / events_k.clamp(min=1)

    with_events = int((events_k > 0).sum())
    averaged = len(events_k) if ties == "published" else with_events
    return CoxLoss(
        loss_k.sum() / max(averaged, 1),
        {
            "nights": float(len(event_nk)),
            "events": float(events_k.sum()),
            "conditions_with_events": float(with_events),
            "conditions_without_events": float(len(events_k) - with_events),
        },
        scored=float(events_k.sum()),
        loss_k=loss_k.detach().masked_fill(events_k == 0, torch.nan),
        events_k=events_k,
    )


def _with_ties(log_hazard_nk: Tensor, log_risk_nk: Tensor, time_nk: Tensor, event_nk: Tensor, ties: Ties) -> Tensor:
    """Return the log of each event's risk sum. All arguments are sorted by falling time; `log_risk_nk` sums up to each row."""
    nights = len(time_nk)
    place_nk = torch.arange(nights, device=time_nk.device).unsqueeze(1).expand_as(time_nk)
    changes_nk = time_nk[1:] != time_nk[:-1]
    edge_1k = torch.ones_like(event_nk[:1])
    last_nk = place_nk.masked_fill(~torch.cat([changes_nk, edge_1k]), nights).flip(0).cummin(dim=0).values.flip(0)
    log_risk_nk = log_risk_nk.gather(0, last_nk)  # all who share a time are at risk together
    if ties == "breslow":
        return log_risk_nk

    # Efron: of d tied events, the l-th (from 0) has l/d of their hazards taken out of the risk sum. Everything is expressed as
    # a share of that sum, which no hazard exceeds, so nothing can overflow and the logarithm stays above log(1/d).
    first_nk = place_nk.masked_fill(~torch.cat([edge_1k, changes_nk]), 0).cummax(dim=0).values
    counted_nk = event_nk.long().cumsum(dim=0)
    earlier_nk = (counted_nk - event_nk.long()).gather(0, first_nk)
    tied_nk = counted_nk.gather(0, last_nk) - earlier_nk
    fraction_nk = (counted_nk - 1 - earlier_nk).clamp(min=0) / tied_nk.clamp(min=1)
    share_nk = (log_hazard_nk - log_risk_nk).exp().masked_fill(~event_nk, 0.0)
    tied_share_nk = torch.zeros_like(share_nk).scatter_add(0, last_nk, share_nk).gather(0, last_nk)
    return log_risk_nk + torch.log1p(-fraction_nk * tied_share_nk)
