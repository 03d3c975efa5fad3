"""What has to be known before the numbers of a set of events are believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def event_remarks(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the maker of a set of events could not score, and what it warned of, each a sentence.

    Parameters
    ----------
    provenance
        Of the set; empty where nobody knows who made it.
    """
    skipped: Mapping[str, str] = provenance.get("skipped") or {}
    label = provenance.get("label") or "the program"
    said = [f"{what}: not scored by {label} ({why})." for what, why in skipped.items()]
    return (*said, *(str(one) for one in provenance.get("warnings") or ()))
