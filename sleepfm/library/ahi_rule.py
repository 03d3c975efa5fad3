"""By which rule a program scored the events that an AHI counts, and how far the AHI depends on that rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AhiRule:
    """What a program said of its own AHI; people's edits, and other stages than it was given, are not in it.

    Attributes
    ----------
    maker
        The program with its version.
    profile
        Its name for the rules.
    hypopnea
        What it took for a hypopnea, in words; "" where it does not say.
    ahi, low, high
        Its AHI per hour of sleep, and what stricter and looser readings of the rules give; None where it gives none.
    """

    maker: str
    profile: str
    hypopnea: str = ""
    ahi: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def range(self) -> str:
        """Return "2.3 to 8.0 /h", "" where no other rules were tried."""
        return "" if self.low is None or self.high is None else f"{self.low:.1f} to {self.high:.1f} /h"

    @property
    def sentence(self) -> str:
        """Return the rule, and the range by stricter and looser ones, in words."""
        criterion = f": {self.hypopnea}" if self.hypopnea else ""
        said = f"Hypopneas by {self.maker}, rules {self.profile}{criterion}."
        if self.ahi is None or not self.range:
            return said
        return (
            f"{said} Its own AHI, before any edit and by the stages it was given: {self.ahi:.1f} /h,"
            f" {self.range} by stricter and looser rules."
        )


def ahi_rule(provenance: Mapping[str, Any]) -> AhiRule | None:
    """Return the rule of a set of events, given its provenance; None where its maker named none."""
    found: Mapping[str, float | None] = (provenance.get("indices") or {}).get("ahi") or {}
    if not provenance.get("hypopnea_criterion") and not found:
        return None
    return AhiRule(
        maker=f"{provenance.get('label', '')} {provenance.get('version', '')}".strip(),
        profile=str(provenance.get("model", "")),
        hypopnea=str(provenance.get("hypopnea_criterion") or ""),
        ahi=found.get("value"),
        low=found.get("low"),
        high=found.get("high"),
    )
