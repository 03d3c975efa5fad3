"""psgscoring behind one door: traces and stages in, events under our names out.

psgscoring (BSD-3) follows the AASM manual's rules for breathing, arousals and legs. What is settled here, because it differs from
what it would do by itself:

- It is told which channel is what. Channels get names that its own guessing by label makes nothing of: "O2" would be an oximeter.
- Unknown epochs are given as Wake. It would count any other word as sleep.
- Leg movements are scored with the manual's rule for their end and with 5 s between two legs, which its profiles leave off, and
  all of them are taken, where its full run ends its list at 200.
- In epochs that are not sleep, apneas and hypopneas are looked for too: events are marked in every stage and counted in sleep.
- Of its RERAs those are taken that last 10 s and touch no apnea or hypopnea.
- Desaturations are ours (see `sleepfm.signals.desaturations`).

It runs in a process of its own (`sleepfm.inference.event_process`), for it takes a minute and a gigabyte and cannot be stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from sleepfm.inference.event_signals import EEGS, FLOWS, LEGS, RATE_HZ, Part, Trace
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

Tell = Callable[[str], None]
"""Is told the name of the step that begins (`BREATHING`, …)."""

_ROLES = {
    Part.NASAL_PRESSURE: "flow_pressure",
    Part.THERMISTOR: "flow_thermistor",
    Part.FLOW: "flow",
    Part.THORAX: "thorax",
    Part.ABDOMEN: "abdomen",
    Part.SPO2: "spo2",
    Part.HEART_RATE: "pulse",
    Part.ECG: "ecg",
    Part.POSITION: "position",
    Part.EOG: "eog",
    Part.CHIN: "emg",
}
_EEG_NAMES = {Part.CENTRAL: "C4-M1", Part.FRONTAL: "F4-M1", Part.OCCIPITAL: "O1-M2", Part.OTHER_EEG: "CZ"}
"""How psgscoring knows a derivation's region; "O2-M1" it would take for an oximeter."""
_STAGES = {Stage.WAKE: "W", Stage.N1: "N1", Stage.N2: "N2", Stage.N3: "N3", Stage.REM: "R", Stage.UNKNOWN: "W"}
_APNEAS = {
    "obstructive": EventName.OBSTRUCTIVE_APNEA,
    "central": EventName.CENTRAL_APNEA,
    "mixed": EventName.MIXED_APNEA,
    "uncertain": EventName.OBSTRUCTIVE_APNEA,
}
_BREATHS = {*_APNEAS.values(), EventName.HYPOPNEA, EventName.RERA}
_BETWEEN_LEGS_S = 5.0
"""AASM v3 VII.2: movements of two legs that begin closer than this are one."""
_RERA_LASTS_S = (10.0, 60.0)

BREATHING, ARMS, CHANNELS, AROUSALS, DERIVATION, REST, AWAKE, MOVEMENTS = (
    "apneas and hypopneas",
    "by stricter and looser rules",
    "signal quality",
    "arousals",
    "arousals in the next EEG",
    "further rules",
    "breathing outside sleep",
    "leg movements",
)
"""The steps, in words for a narrow place."""
_BEGINNINGS = {
    "[pneumo 1/9]": BREATHING,
    "[pneumo 1a/11]": ARMS,
    "[pneumo 1b/11]": CHANNELS,
    "[pneumo 7/9]": AROUSALS,
    "[arousal] LGBM filter": DERIVATION,
    "[pneumo 8/10]": REST,
}
"""What psgscoring writes to its log where a step begins; its only sign of life."""


@dataclass(frozen=True, eq=False)
class EngineNight:
    """What the engine is given.

    Attributes
    ----------
    traces
        By the part they play.
    stages
        (epochs,) int8 of `Stage`.
    unusable
        (epochs,) bool: epochs that are not scored and count as no time.
    profile
        One of psgscoring's profiles of rules.
    """

    traces: Mapping[Part, Trace]
    stages: np.ndarray
    unusable: np.ndarray
    profile: str


@dataclass
class EngineEvents:
    """What the engine found.

    Attributes
    ----------
    events
        Without desaturations; in no order.
    rates
        Per hour of sleep, as psgscoring computes them: key → value, low, high (None where there is none).
    skipped
        What was not scored → why.
    about
        For the provenance; fits in JSON.
    """

    events: list[Event] = field(default_factory=list)
    rates: dict[str, tuple[float, float | None, float | None]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def source_name(profile: str) -> str:
    """Return how events of the engine name their source."""
    return f"psgscoring {version('psgscoring')} {profile}"


def profiles() -> tuple[str, ...]:
    """Return the names of psgscoring's profiles of rules."""
    from psgscoring.profiles import PROFILES  # noqa: PLC0415 - loads all of psgscoring

    return tuple(PROFILES)


def score_night(night: EngineNight, tell: Tell) -> EngineEvents:
    """Score a night in this process.

    Raises
    ------
    Exception
        Whatever psgscoring raises on a night that it cannot work on.
    """
    found = EngineEvents()
    hypnogram = [_STAGES[Stage(stage)] for stage in night.stages]
    left_out = [int(epoch) for epoch in np.flatnonzero(night.unusable)]
    has_flow, has_eeg = (any(part in night.traces for part in parts) for parts in (FLOWS, EEGS))
    if not has_flow:
        found.skipped |= dict.fromkeys(("Apneas and hypopneas", "RERA"), "no usable channel of airflow")
    if not has_eeg:
        found.skipped["Arousals"] = "no usable EEG channel"
    with _told(tell):
        output = _run(night, hypnogram, left_out) if has_flow or has_eeg else {}
        if has_flow:
            _breathing(night, output, found)
        if has_eeg:
            _arousals(night, output, found)
        if has_flow:
            tell(AWAKE)
            _outside_sleep(night, output, hypnogram, left_out, found)
        if any(part in night.traces for part in LEGS):
            tell(MOVEMENTS)
        _legs(night, found)
    return found


@contextmanager
def _told(tell: Tell) -> Iterator[None]:
    """Pass on what psgscoring's log says of its steps; nothing of the log itself, which is partly Dutch, goes anywhere."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said = str(record.msg)  # not put together: without sleep it has words for numbers that are None
            step = next((step for beginning, step in _BEGINNINGS.items() if said.startswith(beginning)), None)
            if step is not None:
                tell(step)

    log, listener = logging.getLogger("psgscoring"), Listener(logging.INFO)
    before = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(listener)
    try:
        yield
    finally:
        log.removeHandler(listener)
        log.setLevel(before[0])
        log.propagate = before[1]


def _names(night: EngineNight) -> dict[Part, str]:
    """Return the channels' names for psgscoring: EEG by its region, the rest so that it guesses nothing from them."""
    given = [part for part in night.traces if part not in LEGS]
    return {part: _EEG_NAMES.get(part, f"q{number:02d}") for number, part in enumerate(given)}


def _run(night: EngineNight, hypnogram: list[str], left_out: list[int]) -> dict[str, Any]:
    import mne  # noqa: PLC0415
    from psgscoring.pipeline import run_pneumo_analysis  # noqa: PLC0415

    names = _names(night)
    channel_map = {_ROLES[part]: name for part, name in names.items() if part in _ROLES}
    eeg = next((part for part in EEGS if part in names), None)
    if eeg is not None:
        channel_map["eeg"] = names[eeg]
    samples = max(len(night.traces[part].x) for part in names)
    data = np.empty((len(names), samples))
    for row, part in zip(data, names, strict=True):
        row[:] = night.traces[part].x
    info = mne.create_info(list(names.values()), RATE_HZ, "misc", verbose="error")
    raw = mne.io.RawArray(data, info, verbose="error")
    output: dict[str, Any] = run_pneumo_analysis(
        raw, hypnogram, channel_map=channel_map, artifact_epochs=left_out, scoring_profile=night.profile
    )
    return output


def _breathing(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    """Take over apneas, hypopneas and RERAs."""
    breathing = output["respiratory"]
    if not breathing.get("success"):
        found.skipped["Apneas and hypopneas"] = f"psgscoring failed on them: {breathing.get('error')}"
        found.skipped["RERA"] = "it needs the apneas and hypopneas"
        return
    for event in breathing["events"]:
        found.events.append(_breath_event(night, output, event))
    if Part.SPO2 not in night.traces:
        arousals = _links_arousals(night.profile) and bool(output["arousal"].get("success"))
        what = "Hypopneas without an arousal" if arousals else "Hypopneas"
        found.skipped[what] = "no usable SpO2 channel; a hypopnea needs a desaturation or an arousal"
    if not {Part.THORAX, Part.ABDOMEN} & night.traces.keys():
        found.skipped["Types of apneas"] = "no usable channel of effort; apneas without a type are marked as obstructive"
    uncertain = sum(event["type"] == "uncertain" for event in breathing["events"])
    if uncertain:
        found.remarks.append(f"{uncertain} apneas whose type psgscoring could not tell are marked as obstructive.")
    _reras(night, output, found)
    summary = breathing["summary"]
    value = summary.get("ahi_incl_uncertain")
    interval = output["ahi_interval"].get("interval")
    if value is not None:
        arms = [float(value), *(interval or [])]
        found.rates["ahi"] = (float(value), *((min(arms), max(arms)) if interval else (None, None)))
    rule = summary.get("ahi_rule") or {}
    found.about |= {
        "hypopnea_criterion": output["meta"].get("hypopnea_criterion"),
        "ahi_rule": rule.get("verdict"),
        "ahi_interval": {
            arm: {"ahi": output["ahi_interval"][arm]["ahi"]}
            for arm in ("strict", "standard", "sensitive")
            if isinstance(output["ahi_interval"].get(arm), dict)
        },
        "thermistor_rejected": bool(output["meta"]["flow_channels"].get("thermistor_rejected")),
        "effort_mode": (output.get("signal_quality") or {}).get("recommended_mode"),
    }


def _breath_event(night: EngineNight, output: dict[str, Any], event: Mapping[str, Any]) -> Event:
    kind = str(event["type"])
    sensors = output["meta"]["flow_channels"]
    apnea = kind in _APNEAS
    extra: dict[str, float | str] = {}
    _put(extra, "Desaturation", event.get("desaturation_pct"))
    _put(extra, "NadirSpO2", event.get("min_spo2"))
    _put(extra, "FlowReduction", event.get("flow_reduction_pct"))
    _put(extra, "Confidence", event.get("confidence"))
    kind_of = kind.removeprefix("hypopnea").lstrip("_")
    if kind == "uncertain" or (not apnea and kind_of):
        extra["Type"] = kind_of
    return Event(
        start_s=float(event["onset_s"]),
        stop_s=float(event["onset_s"]) + float(event["duration_s"]),
        name=_APNEAS[kind] if apnea else EventName.HYPOPNEA,
        channel=_label(night, sensors["apnea_sensor" if apnea else "hypopnea_sensor"]),
        source=source_name(night.profile),
        extra=extra,
    )


def _reras(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    """Take over RERAs as the AASM manual has them: of at least 10 s, ended by an arousal, apart from any other.

    psgscoring tells their onsets only, and also of those that are half within a hypopnea or end sooner.
    """
    if not _links_arousals(night.profile):
        found.skipped["RERA"] = f"the rules {night.profile} do not link arousals to breathing"
        return
    if not output["arousal"].get("success"):
        found.skipped["RERA"] = "it needs arousals, which could not be scored"
        return
    breathing = output["respiratory"]
    ends = {
        round(float(one["onset_s"]), 1): float(one["onset_s"]) + float(one["duration_s"])
        for one in breathing.get("rejected_hypopneas", [])
    }
    arousals = sorted(float(one["onset_s"]) for one in output["arousal"]["events"])
    scored = [event for event in found.events if event.name in _BREATHS]
    channel = _label(night, output["meta"]["flow_channels"]["hypopnea_sensor"])
    taken: list[Event] = []
    for onset_s in sorted(float(at_s) for at_s in breathing.get("rera_onsets_s", [])):
        arousal_s = next((at_s for at_s in arousals if at_s > onset_s), onset_s)
        stop_s = ends.get(round(onset_s, 1), arousal_s)
        alone = not any(onset_s < other.stop_s and other.start_s < stop_s for other in (*scored, *taken[-1:]))
        if _RERA_LASTS_S[0] <= stop_s - onset_s <= _RERA_LASTS_S[1] and alone and not _at(night.unusable, onset_s):
            taken.append(Event(onset_s, stop_s, EventName.RERA, channel, source_name(night.profile)))
    found.events += taken
    if taken:
        found.remarks.append("RERAs rest on flattened flow and an arousal alone, without a pressure probe: look at each.")
    hours = _sleep_hours(night)
    if hours:
        found.rates["rera_index"] = (sum(_asleep(night, one.start_s) for one in taken) / hours, None, None)


def _links_arousals(profile: str) -> bool:
    """Return whether arousals bear on hypopneas and RERAs in a profile."""
    from psgscoring.constants import SCORING_PROFILES  # noqa: PLC0415

    return bool(SCORING_PROFILES[profile].get("AROUSAL_LIMB_WIRED"))


def _arousals(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    eeg = [part for part in EEGS if part in night.traces]
    arousal = output["arousal"]
    if not arousal.get("success"):
        found.skipped["Arousals"] = f"psgscoring failed on them: {arousal.get('error')}"
        return
    summary = arousal.get("summary", {})
    names = {name: part for part, name in _names(night).items()}
    taken = 0
    for event in arousal["events"]:
        part = names.get(str(event.get("derivation")), eeg[0])
        start_s, stop_s = float(event["onset_s"]), float(event["onset_s"]) + float(event["duration_s"])
        if _at(night.traces[part].unusable, start_s) or _at(night.unusable, start_s):
            continue
        taken += 1
        extra: dict[str, float | str] = {}
        _put(extra, "Confidence", event.get("lgbm_proba", event.get("confidence")))
        if event.get("type") in {"respiratory", "spontaneous"}:
            extra["Type"] = str(event["type"])
        found.events.append(
            Event(start_s, stop_s, EventName.AROUSAL, night.traces[part].label, source_name(night.profile), extra)
        )
    hours = _sleep_hours(night)
    if hours:
        found.rates["arousal_index"] = (taken / hours, None, None)
    detector = str(summary.get("detector") or ("lgbm" if summary.get("lgbm_available") else "rules"))
    found.about["arousal_detector"] = detector
    if summary.get("unet_fallback_reason") and Part.EOG in night.traces and Part.CHIN in night.traces:
        found.about["arousal_network"] = "not used: psgscoring's network for arousals needs onnxruntime, which is not installed"
    if detector == "rules":
        found.remarks.append("Arousals were found by psgscoring's rules alone, without its classifier.")
    if Part.CHIN not in night.traces:
        found.remarks.append("Without a chin EMG arousals in REM sleep cannot be scored as the AASM manual asks.")


def _outside_sleep(
    night: EngineNight, output: dict[str, Any], hypnogram: list[str], left_out: list[int], found: EngineEvents
) -> None:
    """Look for apneas and hypopneas in epochs that are not sleep, as if they were N1; those of sleep stay as they were found."""
    from psgscoring.constants import SCORING_PROFILES  # noqa: PLC0415
    from psgscoring.respiratory import detect_respiratory_events  # noqa: PLC0415

    awake = np.array([stage == "W" for stage in hypnogram]) & ~night.unusable
    if not awake.any() or not output["respiratory"].get("success"):
        return
    signals = {name: night.traces[part].x.astype(np.float64) for part, name in _names(night).items() if part in _BREATHING_PARTS}
    sensors = output["meta"]["flow_channels"]
    by_role = {_ROLES[part]: signals.get(name) for part, name in _names(night).items() if part in _ROLES}
    again = detect_respiratory_events(
        flow_data=signals[sensors["apnea_sensor"]],
        hypop_flow=signals[sensors["hypopnea_sensor"]],
        sf_hypop=RATE_HZ,
        thorax_data=by_role.get("thorax"),
        abdomen_data=by_role.get("abdomen"),
        spo2_data=by_role.get("spo2"),
        sf_flow=RATE_HZ,
        sf_spo2=RATE_HZ,
        hypno=["N1" if stage == "W" else stage for stage in hypnogram],
        artifact_epochs=left_out,
        pos_data=by_role.get("position"),
        sf_pos=RATE_HZ,
        scoring_profile=SCORING_PROFILES[night.profile],
        ecg_data=by_role.get("ecg"),
        sf_ecg=RATE_HZ,
        signal_quality=output.get("signal_quality"),
    )
    asleep = [event for event in found.events if event.name in _BREATHS]
    for event in again.get("events", []):
        middle_s = float(event["onset_s"]) + float(event["duration_s"]) / 2
        one = _breath_event(night, output, event)
        if _at(awake, middle_s) and not any(one.start_s < other.stop_s and other.start_s < one.stop_s for other in asleep):
            found.events.append(one)


_BREATHING_PARTS = (*FLOWS, Part.THORAX, Part.ABDOMEN, Part.SPO2, Part.POSITION, Part.ECG)


def _legs(night: EngineNight, found: EngineEvents) -> None:
    """Score leg movements in every stage; those that psgscoring puts into a series are PLM."""
    from psgscoring.plm import analyze_plm  # noqa: PLC0415

    legs = [night.traces[part] for part in LEGS if part in night.traces]
    if not legs:
        found.skipped["Leg movements"] = "no usable leg EMG channel"
        return
    if len(legs) == 1:
        found.remarks.append(f"Leg movements come from one leg only ({legs[0].label}).")
    breaths = [
        {"onset_s": event.start_s, "duration_s": event.stop_s - event.start_s} for event in found.events if event.name in _BREATHS
    ]
    result = analyze_plm(
        legs[0].x,
        legs[1].x if len(legs) > 1 else None,
        legs[0].rate_hz,
        ["N2"] * len(night.stages),
        resp_events=breaths,
        leg_unit="V",
        event_list_cap=None,
        offset_aasm=True,
        bilateral_window_s=_BETWEEN_LEGS_S,
    )
    if not result.get("success"):
        found.skipped["Leg movements"] = f"psgscoring failed on them: {result.get('error')}"
        return
    periodic = 0
    for movement in result["events"]:
        start_s, stop_s = float(movement["onset_s"]), float(movement["onset_s"]) + float(movement["duration_s"])
        moved = [leg for leg in legs if not _at(leg.unusable, start_s)]
        if not moved or _at(night.unusable, start_s):
            continue
        leg = max(moved, key=lambda leg: _largest(leg, start_s, stop_s))
        in_series = bool(movement["is_plm"])
        periodic += in_series and _asleep(night, start_s)
        extra: dict[str, float | str] = {}
        _put(extra, "Amplitude", movement.get("amplitude_uv"))
        name = EventName.PLM if in_series else EventName.LEG_MOVEMENT
        found.events.append(Event(start_s, stop_s, name, leg.label, source_name(night.profile), extra))
    hours = _sleep_hours(night)
    if hours:
        found.rates["plmi"] = (periodic / hours, None, None)


def _largest(leg: Trace, start_s: float, stop_s: float) -> float:
    within = leg.x[int(start_s * leg.rate_hz) : int(stop_s * leg.rate_hz) + 1]
    return float(np.abs(within).max()) if len(within) else 0.0


def _label(night: EngineNight, name: object) -> str:
    part = next((part for part, given in _names(night).items() if given == name), None)
    return "" if part is None else night.traces[part].label


def _at(epochs: np.ndarray, at_s: float) -> bool:
    epoch = int(at_s // EPOCH_S)
    return bool(epochs[epoch]) if epoch < len(epochs) else False


def _asleep(night: EngineNight, at_s: float) -> bool:
    return _at(night.stages > Stage.WAKE, at_s) and not _at(night.unusable, at_s)


def _sleep_hours(night: EngineNight) -> float:
    return float(((night.stages > Stage.WAKE) & ~night.unusable).sum()) * EPOCH_S / 3600


def _put(extra: dict[str, float | str], name: str, value: object) -> None:
    if isinstance(value, int | float | np.number) and np.isfinite(value):
        extra[name] = round(float(value), 3)
