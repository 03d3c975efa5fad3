"""Where a page of one study should be: told apart from where its user has paged to.

The address carries the study and a place in it, both ways: a link opens an epoch, and paging writes the epoch into the address.
A *visit* begins when the address says something the page did not write itself. The review page counts epochs; the page of
neighbours keeps visits of its own, whose places are seconds.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any

REVIEW = "review"
ECHO_S = 3.0
"""For so long the browser may still ask with an address that the page has replaced."""


@dataclass(frozen=True)
class Visit:
    """One arrival at a study.

    Attributes
    ----------
    study
        Its id.
    number
        Counts arrivals; the viewer jumps when it changes.
    opened_at
        The epoch (1-based) the visit began at.
    address
        The place the address last held, as far as the page knows; None when it held none.
    """

    study: str
    number: int
    opened_at: int
    address: str | None
    replaced: tuple[tuple[str | None, float], ...] = ()
    """What stood in the address lately, and when (monotonic seconds) the page wrote something else there."""


def arrive(state: MutableMapping[Any, Any], study: str, place: str | None, *, page: str = REVIEW) -> Visit:
    """Return the visit for what the address says now, a new one when the page did not write it itself."""
    before: Visit | None = state.get(_key(page))
    if before is not None and before.study == study and (place in (before.address, None) or _is_echo(before, place)):
        return before
    visit = Visit(study, 1 if before is None else before.number + 1, _epoch(place), place)
    state[_key(page)] = visit
    return visit


def last_study(state: MutableMapping[Any, Any], *, page: str = REVIEW) -> str | None:
    """Return the study of the latest visit."""
    visit: Visit | None = state.get(_key(page))
    return None if visit is None else visit.study


def paged(state: MutableMapping[Any, Any], study: str, place: int, *, page: str = REVIEW) -> None:
    """Note that the user has gone to a place (an epoch, a second), which the page now writes into the address."""
    visit: Visit | None = state.get(_key(page))
    if visit is not None and visit.study == study:
        now = time.monotonic()
        replaced = [(address, at) for address, at in visit.replaced if now - at < ECHO_S]
        state[_key(page)] = replace(visit, address=str(place), replaced=(*replaced, (visit.address, now)))


def _is_echo(visit: Visit, epoch: str | None) -> bool:
    """Whether the browser asked before it had heard of the page's latest address."""
    now = time.monotonic()
    return any(address == epoch and now - at < ECHO_S for address, at in visit.replaced)


def _epoch(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 9 else 1


def _key(page: str) -> str:
    return f"{page} visit"
