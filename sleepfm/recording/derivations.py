"""Derivations (C4-M1 from C4 and M1), montages, and corrections that hold for every recording of one montage.

The derivations are those of the AASM manual (rules IV.1, EEG and EOG against the opposite mastoid; chin and leg EMG bipolar).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sleepfm.recording._corrected import CorrectedRecording
from sleepfm.recording._leads import REFERENCES, Lead, read_lead
from sleepfm.recording.recording import Channel, Recording
from sleepfm.vocabulary import Kind, Modality

_LEFT_REFERENCES, _RIGHT_REFERENCES = ("M1", "A1"), ("M2", "A2")
_PAIRED = {Kind.CHIN_EMG, Kind.LEG_EMG, Kind.ARM_EMG, Kind.OTHER_EMG, Kind.ECG}
_MOST_PAIRS = 3
_STAGING_ELECTRODES = ("F3", "F4", "C3", "C4", "O1", "O2", "Fz", "Cz", "Oz", "Fpz")
"""AASM IV.1: recommended F4-M1, C4-M1, O2-M1, their backups on the left, and the accepted midline leads."""


@dataclass(frozen=True)
class Derivation:
    """One trace: channel `plus` minus the mean of the channels `minus` (none: the channel as it is)."""

    label: str
    plus: int
    minus: tuple[int, ...]
    kind: Kind
    modality: Modality | None


@dataclass(frozen=True)
class Montage:
    """A named choice of traces in the order in which a technician expects them."""

    name: str
    traces: tuple[Derivation, ...]


def offered(channels: Sequence[Channel]) -> tuple[Derivation, ...]:
    """Return the derivations that can be made of unreferenced leads.

    An electrode that the file already gives against another one is left alone. Both channels must have the same rate and unit.
    EEG goes against the opposite mastoid (the other one when that is missing), the midline against the mean of both, eyes
    against M2; the ends of a bipolar chin, leg, arm or ECG lead ("Chin1", "Chin2") against each other.
    """
    leads = {channel.index: read_lead(channel.label) for channel in channels}
    made: list[Derivation] = []
    references = _references(channels, leads)
    referenced = {lead.electrodes[0] for lead in leads.values() if len(lead.electrodes) > 1}
    for channel in channels:
        lead = leads[channel.index]
        if channel.kind not in {Kind.EEG, Kind.EOG} or not lead.bare or lead.electrodes[0] in {*REFERENCES, *referenced}:
            continue
        fitting = {name: one for name, one in references.items() if _comparable(channel, one)}
        chosen = _chosen_references(lead.electrodes[0], fitting)
        if chosen:
            label = f"{lead.electrodes[0]}-{''.join(chosen)}"
            minus = tuple(fitting[name].index for name in chosen)
            made.append(Derivation(label, channel.index, minus, channel.kind, channel.modality))
    return (*made, *_pairs(channels, leads))


def read_derivation(recording: Recording, derivation: Derivation, start_s: float, stop_s: float) -> np.ndarray:
    """Return float32 samples of the derivation, in the unit of its channel `plus`; see `Recording.read`."""
    plus, *minus = recording.read_many((derivation.plus, *derivation.minus), start_s, stop_s)
    return plus - np.mean(minus, axis=0, dtype=np.float32) if minus else plus


def montages(recording: Recording) -> tuple[Montage, ...]:
    """Return the montages that the recording's channels allow, the one to begin with first; empty ones are left out."""
    channels = recording.channels
    recorded = [Derivation(one.label, one.index, (), one.kind, one.modality) for one in channels]
    derived = offered(channels)
    leads = {trace: read_lead(trace.label) for trace in (*recorded, *derived)}
    every = sorted((*derived, *recorded), key=lambda trace: _technician_order(trace, leads[trace]))
    useful = _without_bare_duplicates(every, leads, derived)
    staging = [trace for trace in useful if trace.kind is Kind.EOG or trace.kind is Kind.CHIN_EMG]
    staging = [*_staging_eeg(useful, leads), *staging]
    choices = (
        ("Polysomnography", _fewest([*staging, *_of(useful, tuple(_MOST_OF_A_KIND))])),
        ("Sleep staging", staging),
        ("Respiratory", _of(useful, (Kind.SNORE, *_FLOW, *_EFFORT, Kind.SPO2, Kind.CO2, Kind.PULSE, Kind.POSITION, Kind.PAP))),
        ("Cardiac", _of(useful, (Kind.ECG, Kind.PULSE, Kind.PLETH, Kind.SPO2))),
        ("Legs", _of(useful, (Kind.LEG_EMG, Kind.ARM_EMG, Kind.OTHER_EMG))),
        ("As recorded", recorded),
        ("All", every),
    )
    return tuple(Montage(name, tuple(traces)) for name, traces in choices if traces)


def montage_signature(channels: Sequence[Channel]) -> str:
    """Return a hash of the labels and rates in file order: equal for recordings made with the same set-up."""
    facts = [[channel.index, channel.label, round(channel.rate_hz, 6)] for channel in channels]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def apply_corrections(recording: Recording, corrections: Mapping[int, Kind | None]) -> Recording:
    """Return the recording with channels of corrected kinds (None: of no use), their modalities and units to match.

    Corrections of channels that the recording does not have are passed over.
    """
    return CorrectedRecording(recording, corrections)


def corrections_text(corrections: Mapping[int, Kind]) -> str:
    """Return corrections, by channel number, as one text; empty where nothing was corrected."""
    return ",".join(f"{channel}={kind.value}" for channel, kind in sorted(corrections.items()))


def _references(channels: Sequence[Channel], leads: Mapping[int, Lead]) -> dict[str, Channel]:
    found: dict[str, Channel] = {}
    for channel in channels:
        lead = leads[channel.index]
        if channel.kind is Kind.EEG and lead.bare and lead.electrodes[0] in REFERENCES:
            found.setdefault(lead.electrodes[0], channel)
    return found


def _comparable(one: Channel, other: Channel) -> bool:
    return one.rate_hz == other.rate_hz and one.unit == other.unit


def _chosen_references(electrode: str, fitting: Mapping[str, Channel]) -> tuple[str, ...]:
    left = next((name for name in _LEFT_REFERENCES if name in fitting), "")
    right = next((name for name in _RIGHT_REFERENCES if name in fitting), "")
    if electrode.endswith("z") and left and right:
        return left, right
    on_right = electrode[-1] in "02468" and electrode != "E2"
    chosen = (left or right) if on_right else (right or left)
    return (chosen,) if chosen else ()


def _pairs(channels: Sequence[Channel], leads: Mapping[int, Lead]) -> list[Derivation]:
    """Return bipolar derivations of the bare ends of one muscle or of the heart."""
    made: list[Derivation] = []
    for kind in sorted(_PAIRED & {channel.kind for channel in channels}):
        group = [channel for channel in channels if channel.kind is kind]
        ends = [channel for channel in group if leads[channel.index].bare]
        if len(ends) < len(group):  # a bipolar lead is there already
            continue
        pairs = [
            pair for pair in combinations(ends, 2) if _comparable(*pair) and _are_ends(kind, *(leads[c.index] for c in pair))
        ]
        made.extend(
            Derivation(f"{one.label}-{other.label}", one.index, (other.index,), kind, one.modality)
            for one, other in pairs[:_MOST_PAIRS]
        )
    return made


def _are_ends(kind: Kind, one: Lead, other: Lead) -> bool:
    """Whether two bare leads are the two ends of one bipolar lead: of one limb, or anywhere on chin and chest."""
    if kind in {Kind.CHIN_EMG, Kind.ECG}:
        return (one.number, one.side) != (other.number, other.side)
    return one.side == other.side and bool(one.side and one.number and other.number) and one.number != other.number


_FEWEST_STAGING_LEADS = 2
_FLOW = (Kind.NASAL_PRESSURE, Kind.FLOW, Kind.THERMISTOR)
_EFFORT = (Kind.EFFORT_THORAX, Kind.EFFORT_ABDOMEN, Kind.EFFORT_SUM)
_ORDER = (
    Kind.EEG, Kind.EOG, Kind.CHIN_EMG, Kind.ECG, Kind.LEG_EMG, Kind.ARM_EMG, Kind.OTHER_EMG, Kind.SNORE, *_FLOW, *_EFFORT,
    Kind.SPO2, Kind.CO2, Kind.PULSE, Kind.PLETH, Kind.POSITION, Kind.PAP, Kind.ACTIVITY, Kind.LIGHT, Kind.MARKER, Kind.OTHER,
    Kind.IMPEDANCE,
)  # fmt: skip
_MOST_OF_A_KIND = {
    Kind.EEG: 6, Kind.EOG: 2, Kind.CHIN_EMG: 1, Kind.ECG: 1, Kind.LEG_EMG: 2, Kind.SNORE: 1, Kind.NASAL_PRESSURE: 1, Kind.FLOW: 1,
    Kind.THERMISTOR: 1, Kind.EFFORT_THORAX: 1, Kind.EFFORT_ABDOMEN: 1, Kind.EFFORT_SUM: 0, Kind.SPO2: 1, Kind.CO2: 1,
    Kind.PULSE: 1, Kind.POSITION: 1,
}  # fmt: skip
"""The first montage: what a night is scored from, few enough to be read on one screen."""
_REGIONS = ("Fp", "AF", "F", "FC", "FT", "C", "T", "TP", "CP", "P", "PO", "O", "E", "M", "A")
_SIDES = ("left", "", "centre", "right")


def _of(traces: Iterable[Derivation], kinds: Sequence[Kind]) -> list[Derivation]:
    return sorted((trace for trace in traces if trace.kind in kinds), key=lambda trace: kinds.index(trace.kind))


def _fewest(traces: Iterable[Derivation]) -> list[Derivation]:
    """Return the first traces of each kind, a belt itself (the shorter label) before what a device computes from it."""
    unique = list(dict.fromkeys(traces))
    kept: set[Derivation] = set()
    for kind, most in _MOST_OF_A_KIND.items():
        of_kind = [trace for trace in unique if trace.kind is kind]
        if kind in _EFFORT:
            of_kind.sort(key=lambda trace: len(trace.label))
        kept.update(of_kind[:most])
    return [trace for trace in unique if trace in kept]


def _technician_order(trace: Derivation, lead: Lead) -> tuple[int, int, str, int, int]:
    """Sort EEG from front to back and left to right, then eyes, chin, heart, legs, breathing, oxygen, the rest."""
    name = lead.electrodes[0] if lead.electrodes else ""
    region = name.rstrip("z0123456789")
    place = _REGIONS.index(region) if region in _REGIONS else len(_REGIONS)
    side = _SIDES.index(lead.side)
    return _ORDER.index(trace.kind), place, name[len(region) :], side, trace.plus


def _without_bare_duplicates(
    traces: Iterable[Derivation], leads: Mapping[Derivation, Lead], derived: Sequence[Derivation]
) -> list[Derivation]:
    """Leave out references, and bare leads that are there against a reference too."""
    shown = {lead.electrodes[0] for lead in leads.values() if len(lead.electrodes) > 1}
    used = {index for derivation in derived if derivation.kind in _PAIRED for index in (derivation.plus, *derivation.minus)}
    chin_is_derived = any(trace.kind is Kind.CHIN_EMG and not lead.bare for trace, lead in leads.items() if trace not in derived)
    kept = []
    for trace in traces:
        lead = leads[trace]
        bare_electrode = trace.kind in {Kind.EEG, Kind.EOG} and len(lead.electrodes) == 1
        if bare_electrode and (lead.electrodes[0] in REFERENCES or lead.electrodes[0] in shown):
            continue
        if not trace.minus and trace.plus in used:
            continue
        if trace.kind is Kind.CHIN_EMG and chin_is_derived and not trace.minus and _is_bare_input(trace.label):
            continue
        kept.append(trace)
    return kept


def _is_bare_input(label: str) -> bool:
    return len(label.strip()) == 1


def _staging_eeg(traces: Iterable[Derivation], leads: Mapping[Derivation, Lead]) -> list[Derivation]:
    """Return the EEG that AASM staging looks at; all EEG where hardly any of it is there."""
    eeg = [trace for trace in traces if trace.kind is Kind.EEG]
    wanted = [trace for trace in eeg if leads[trace].electrodes[:1] and leads[trace].electrodes[0] in _STAGING_ELECTRODES]
    return wanted if len(wanted) > _FEWEST_STAGING_LEADS else eeg
