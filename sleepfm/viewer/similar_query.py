"""What the address of the page of neighbours asks for: study, time, modality of the query, modality of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sleepfm.errors import RequestError
from sleepfm.viewer.similar_words import elapsed, read_time, window_of
from sleepfm.vocabulary import Modality


@dataclass(frozen=True)
class Asked:
    """What is asked for; `problems` says, a sentence each, what of the address could not be followed."""

    at: float
    modality: Modality
    target: Modality
    problems: tuple[str, ...] = ()


def read_address(address: Mapping[str, str], *, duration_s: float, modalities: Iterable[str]) -> Asked:
    """Read an address; what it does not say, or says wrongly, is filled in.

    Parameters
    ----------
    address
        With `at`, `query` and `target`, or without.
    duration_s
        Of the study.
    modalities
        That the study has.
    """
    problems: list[str] = []
    there = [modality for modality in Modality if modality in set(modalities)] or list(Modality)
    at = 0.0
    if address.get("at"):
        try:
            at = read_time(address["at"])
        except RequestError as error:
            problems.append(f"{error}.")
        if at >= duration_s:
            problems.append(f"The recording ends after {elapsed(duration_s)}: its last five minutes are shown.")
            at = max(0.0, duration_s - 1.0)
    # "where else does breathing look like this, and what did the brain do then?"
    modality = _modality(address, "query", Modality.RESP if Modality.RESP in there else there[0], problems)
    brain = Modality.BAS if modality is not Modality.BAS else Modality.RESP
    target = _modality(address, "target", brain, problems)
    return Asked(window_of(at), modality, target, tuple(problems))


def _modality(address: Mapping[str, str], name: str, otherwise: Modality, problems: list[str]) -> Modality:
    text = address.get(name)
    if not text:
        return otherwise
    try:
        return Modality(text)
    except ValueError:
        problems.append(f"{text[:20]!r} is no modality: {', '.join(Modality)} are.")
        return otherwise
