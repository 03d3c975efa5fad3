"""Taking a header's identity out of everything that a report would say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from sleepfm.analysis.sleep_statistics import NightStatistics
from sleepfm.recording.identity import Identity
from sleepfm.report.report_data import ReportData, Standing

LEFT_OUT = "left out: it named the person"
_T = TypeVar("_T")


def without_identity(data: ReportData, identity: Identity, *, code: str) -> ReportData:
    """Return a report's data with every text left out that holds a name, a number or a date of the recording's header.

    Who reviewed and signed stays, and when: that is no part of the header, even where the two share a surname. It stays only
    where those people are named; every other text, the study's id first, is searched for their words too. Our own definitions
    stay.

    Parameters
    ----------
    code
        What the study is called when its own id names the person.
    """
    standing = data.standing
    people = frozenset(name for name in (standing.scorer, standing.signed_by) if name)
    facts = replace(
        data.facts, study=code if identity.names_in(data.facts.study) else data.facts.study, patient=None, start_date=None
    )
    cleaned = _cleaned(replace(data, facts=facts), identity)
    return replace(
        cleaned,
        scoring=replace(cleaned.scoring, scorer=_by(data.scoring.scorer, people, identity)),
        events=tuple(
            replace(kept, source=_by(event.source, people, identity))
            for kept, event in zip(cleaned.events, data.events, strict=True)
        ),
        events_by=_by(data.events_by, people, identity),
        cleaned_of=identity,
    )


def _by(text: str, people: frozenset[str], identity: Identity) -> str:
    """Return who made something: one of the people by name, and what is said after it only when that names nobody."""
    person = next((name for name in people if text == name or text.startswith(f"{name}, ")), "")
    rest = text.removeprefix(person)
    return person + (f", {LEFT_OUT}" if person and identity.names_in(rest) else _cleaned(rest, identity))


def _cleaned(value: _T, identity: Identity) -> _T:
    """Return a value with its texts cleaned, however deep they stand."""
    cleaned: Any = value
    if isinstance(value, str):
        return value if isinstance(value, Enum) or not identity.names_in(value) else LEFT_OUT  # type: ignore[return-value]
    if isinstance(value, NightStatistics):
        items = tuple(replace(one, why_none=_cleaned(one.why_none, identity)) for one in value.items)
        cleaned = replace(value, items=items, remarks=_cleaned(value.remarks, identity))
    elif isinstance(value, tuple):
        cleaned = tuple(_cleaned(one, identity) for one in value)
    elif isinstance(value, Mapping):
        cleaned = {_cleaned(name, identity): _cleaned(one, identity) for name, one in value.items()}
    elif isinstance(value, Standing):
        cleaned = replace(value, proposal=_cleaned(value.proposal, identity))
    elif is_dataclass(value) and not isinstance(value, type):
        cleaned = replace(value, **{one.name: _cleaned(getattr(value, one.name), identity) for one in fields(value)})
    return cleaned
