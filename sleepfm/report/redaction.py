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

    Who reviewed and signed stays, and when: that is no part of the header. So do our own definitions.

    Parameters
    ----------
    code
        What the study is called when its own id names the person.
    """
    standing = data.standing
    people = {word for name in (standing.scorer, standing.signed_by) for word in identity.traces_in(name)}
    days = {moment.date() for moment in (data.made_at, standing.changed_at, standing.signed_at) if moment is not None}
    known = identity.without_words(people).without_dates_of(days)
    study = code if known.names_in(data.facts.study) else data.facts.study
    return _cleaned(replace(data, facts=replace(data.facts, study=study, patient=None, start_date=None)), known)


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
