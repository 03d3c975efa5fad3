"""Derivations and montages: what a technician expects to see from the channels that are there.

A derivation is one channel less the mean of others. It is offered only when it is not recorded already, its channels share
one rate and unit, and both are unreferenced leads (AASM manual, section IV: F4-M1, C4-M1, O2-M1, and so on, contralateral
mastoid; E1-M2 and E2-M2; one chin electrode against another).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sleepfm.recording.channels import placement
from sleepfm.recording.edf import EdfRecording
from sleepfm.recording.recording import Channel, Recording
from sleepfm.vocabulary import Kind, Modality


@dataclass(frozen=True)
class Derivation:
    """A trace: channel `plus` less the mean of the channels `minus` (none: the channel as it was recorded)."""

    label: str
    plus: int
    minus: tuple[int, ...]
    kind: Kind
    modality: Modality | None


@dataclass(frozen=True)
class Montage:
    """A named choice of traces, in the order they are drawn from top to bottom."""

    name: str
    traces: tuple[Derivation, ...]


_SITE = re.compile(
    r"^(?:EEG|EOG|EMG|POL)?[ _-]*(?P<site>(?:F|C|O|P|T)[z0-9]{1,2}|FP[12z]|[AM][12]|E[12]|LOC|ROC)(?:[ _-]*REF)?$", re.I
)
_CHIN = re.compile(r"^(?:EMG)?[ _-]*(?:CHIN|SUBMENTAL|MENTAL)[ _-]*(?:EMG)?[ _-]*(?P<number>[123LRZC])(?:[ _-]*REF)?$", re.I)
_LEFT_REFERENCES = ("M1", "A1")
_RIGHT_REFERENCES = ("M2", "A2")
_EEG_SITES = (
    "F3",
    "F4",
    "C3",
    "C4",
    "O1",
    "O2",
    "FZ",
    "CZ",
    "OZ",
    "FP1",
    "FP2",
    "F7",
    "F8",
    "T3",
    "T4",
    "T5",
    "T6",
    "P3",
    "P4",
    "PZ",
)


def offered(channels: Sequence[Channel]) -> tuple[Derivation, ...]:
    """Return the derivations that the unreferenced leads among the channels allow and that are not recorded already."""
    sites: dict[str, Channel] = {}
    for channel in channels:
        name = _site(channel)
        if name is not None:
            sites.setdefault(name, channel)
    recorded = [_plain(channel.label) for channel in channels]
    made = []
    for site in _EEG_SITES:
        # the contralateral mastoid; the AASM manual takes M1 for the midline
        made.append(_against(sites, site, _RIGHT_REFERENCES if _is_left(site) else _LEFT_REFERENCES))
    for eye in ("E1", "E2", "LOC", "ROC"):
        made.append(_against(sites, eye, (*_RIGHT_REFERENCES, *_LEFT_REFERENCES)))
    made.append(_chin(channels))
    return tuple(one for one in made if one is not None and not _is_recorded(one.label, recorded))


def _is_recorded(label: str, recorded: Sequence[str]) -> bool:
    """Tell whether the derivation's first electrode is recorded against some reference already."""
    site = _plain(label.partition("-")[0])
    return any(one != site and one.startswith(site) and not one.removeprefix(site).startswith("REF") for one in recorded)


def montages(recording: Recording) -> tuple[Montage, ...]:
    """Return the montages that the recording's channels fill, the one to show first first."""
    everything = _ordered([as_recorded(channel) for channel in recording.channels])
    derived = offered(recording.channels)
    replaced = {one.plus for one in derived} | {index for one in derived for index in one.minus}
    named = (
        ("Sleep", _sleep(everything, derived, replaced)),
        ("Breathing", _of(everything, (), set(), _BREATHING_KINDS)),
        ("Heart and legs", _of(everything, (), set(), (Kind.ECG, Kind.PULSE, Kind.PLETH, Kind.LEG_EMG, Kind.ARM_EMG))),
        ("All channels", tuple(everything)),
        ("As recorded", tuple(as_recorded(channel) for channel in recording.channels)),
    )
    return tuple(Montage(name, traces) for name, traces in named if traces)


def as_recorded(channel: Channel) -> Derivation:
    """Return the trace that shows a channel as it is."""
    return Derivation(channel.label, channel.index, (), channel.kind, channel.modality)


def read_derivation(recording: Recording, derivation: Derivation, start_s: float, stop_s: float) -> np.ndarray:
    """Return float32 samples of a derivation, in the unit of its first channel; NaN where any of its channels has a gap."""
    plus, *minus = recording.read_many((derivation.plus, *derivation.minus), start_s, stop_s)
    return plus if not minus else np.asarray(plus - np.mean(minus, axis=0), dtype=np.float32)


def montage_signature(channels: Iterable[Channel]) -> str:
    """Return a hash of the labels, rates and units: equal for recordings made with the same montage."""
    described = "\n".join(f"{one.index}\t{one.label}\t{one.rate_hz:.6g}\t{one.original_unit}" for one in channels)
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()


def apply_corrections(recording: EdfRecording, corrections: Mapping[int, Kind]) -> EdfRecording:
    """Let the recording's channels carry the kinds that a user gave them, and return it.

    Parameters
    ----------
    corrections
        Channel index → kind. Indices that the recording does not have are passed over (a montage may have lost a channel).
    """
    recording.replace_channels(
        tuple(
            channel if channel.index not in corrections else _corrected(channel, corrections[channel.index])
            for channel in recording.channels
        )
    )
    return recording


def _corrected(channel: Channel, kind: Kind) -> Channel:
    placed = placement(kind, "corrected by a user")
    return replace(channel, kind=placed.kind, modality=placed.modality, reason=placed.reason)


# What is there to derive from


def _plain(label: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", re.sub(r"^(EEG|EOG|EMG|POL)", "", label.upper()))


def _site(channel: Channel) -> str | None:
    if channel.kind not in (Kind.EEG, Kind.EOG):
        return None
    found = _SITE.match(channel.label.strip())
    return found["site"].upper() if found else None


def _is_left(site: str) -> bool:
    return site[-1].isdigit() and int(site[-1]) % 2 == 1


def _against(sites: Mapping[str, Channel], site: str, references: Sequence[str]) -> Derivation | None:
    plus = sites.get(site)
    reference = next((sites[name] for name in references if name in sites), None)
    if plus is None or reference is None or not _alike(plus, reference):
        return None
    label = f"{_site_words(site)}-{_site(reference)}"
    return Derivation(label, plus.index, (reference.index,), plus.kind, placement(plus.kind, "").modality)


def _site_words(site: str) -> str:
    return site.replace("FP", "Fp").replace("Z", "z") if site not in ("LOC", "ROC") else site


def _chin(channels: Sequence[Channel]) -> Derivation | None:
    chins = {}
    for channel in channels:
        found = _CHIN.match(channel.label.strip())
        if found and channel.kind is Kind.CHIN_EMG:
            chins.setdefault(found["number"].upper(), channel)
    first, *rest = [chins[number] for number in sorted(chins)] or [None]
    second = next((one for one in rest if first is not None and one is not None and _alike(first, one)), None)
    if first is None or second is None:
        return None
    return Derivation(f"{first.label}-{second.label}", first.index, (second.index,), Kind.CHIN_EMG, Modality.EMG)


def _alike(a: Channel, b: Channel) -> bool:
    return a.rate_hz == b.rate_hz and a.unit == b.unit


# Montages

_ORDER = (
    Kind.EEG,
    Kind.EOG,
    Kind.CHIN_EMG,
    Kind.ECG,
    Kind.OTHER_EMG,
    Kind.LEG_EMG,
    Kind.ARM_EMG,
    Kind.SNORE,
    Kind.NASAL_PRESSURE,
    Kind.THERMISTOR,
    Kind.FLOW,
    Kind.EFFORT_THORAX,
    Kind.EFFORT_ABDOMEN,
    Kind.EFFORT_SUM,
    Kind.SPO2,
    Kind.CO2,
    Kind.PULSE,
    Kind.PLETH,
    Kind.POSITION,
    Kind.PAP,
    Kind.ACTIVITY,
    Kind.LIGHT,
    Kind.MARKER,
    Kind.OTHER,
    Kind.IMPEDANCE,
)
_BREATHING_KINDS = (
    Kind.SNORE,
    Kind.NASAL_PRESSURE,
    Kind.THERMISTOR,
    Kind.FLOW,
    Kind.EFFORT_THORAX,
    Kind.EFFORT_ABDOMEN,
    Kind.EFFORT_SUM,
    Kind.SPO2,
    Kind.CO2,
    Kind.PULSE,
    Kind.POSITION,
    Kind.PAP,
)
_LOBES = ("FP", "F", "C", "P", "T", "O")
_MOST_OF_A_KIND = {
    Kind.EEG: 6,
    Kind.EOG: 2,
    Kind.CHIN_EMG: 1,
    Kind.ECG: 1,
    Kind.LEG_EMG: 2,
    Kind.SNORE: 1,
    Kind.NASAL_PRESSURE: 1,
    Kind.THERMISTOR: 1,
    Kind.FLOW: 1,
    Kind.EFFORT_THORAX: 1,
    Kind.EFFORT_ABDOMEN: 1,
    Kind.SPO2: 1,
    Kind.POSITION: 1,
}
"""The Sleep montage: what a technician scores a night from, few enough to be read."""
_SCORED_FIRST = re.compile(r"^(EEG)?[ _-]*(F[34]|C[34]|O[12])[ _:/-]*([AM][12])$", re.I)
_REFERENCE = re.compile(r"^(EEG|POL)?[ _-]*[AM][12]([ _:/-]*([AM][12]|REF))?$", re.I)


def _ordered(traces: Iterable[Derivation]) -> list[Derivation]:
    return sorted(traces, key=lambda one: (_ORDER.index(one.kind), _lobe(one.label), one.plus))


def _lobe(label: str) -> int:
    """Rank EEG leads from front to back; other labels keep the order of the file."""
    text = re.sub(r"^(EEG|POL)[ _-]*", "", label.strip().upper())
    found = re.match(r"(FP|F|C|P|T|O)[0-9Z]", text)
    return _LOBES.index(found[1]) if found else len(_LOBES)


def _of(
    everything: Sequence[Derivation], derived: Sequence[Derivation], replaced: set[int], kinds: Sequence[Kind]
) -> tuple[Derivation, ...]:
    chosen = [one for one in everything if one.kind in kinds and one.plus not in replaced]
    return tuple(_ordered([*chosen, *(one for one in derived if one.kind in kinds)]))


def _sleep(everything: Sequence[Derivation], derived: Sequence[Derivation], replaced: set[int]) -> tuple[Derivation, ...]:
    pool = _of(everything, derived, replaced, tuple(_MOST_OF_A_KIND))
    chosen: list[Derivation] = []
    for kind, most in _MOST_OF_A_KIND.items():
        of_kind = [one for one in pool if one.kind is kind and not _REFERENCE.match(one.label.strip())]
        # the AASM derivations before others, derivations and referenced channels before single leads
        if kind in (Kind.EEG, Kind.EOG, Kind.CHIN_EMG):
            of_kind.sort(key=lambda one: (not _SCORED_FIRST.match(one.label.strip()), not _referenced(one)))
        elif kind in (Kind.EFFORT_THORAX, Kind.EFFORT_ABDOMEN):
            of_kind.sort(key=lambda one: len(one.label))  # the belt itself before what a device computes from it
        chosen += of_kind[:most]
    return tuple(_ordered(chosen))


def _referenced(trace: Derivation) -> bool:
    return bool(trace.minus) or bool(re.search(r"\w[-:/]\w", trace.label))
