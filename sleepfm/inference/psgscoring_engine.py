"""psgscoring behind one door: traces and stages in, events under our names out.

psgscoring (BSD-3) follows the AASM manual's rules for breathing, arousals and legs. What is settled here, because it differs from
what it would do by itself:

- It is told which channel is what. Channels get names that its own guessing by label makes nothing of: "O2" would be an oximeter.
- Unknown epochs are given as Wake. It would count any other word as sleep.
- Leg movements are scored with the manual's rule for their end and with 5 s between two legs, which its profiles leave off, and
  all of them are taken, where its full run ends its list at 200.
- In epochs that are not sleep, apneas and hypopneas are looked for too: events are marked in every stage and counted in sleep.
- RERAs are found in its breaths and arousals (see `sleepfm.inference.reras`).
- The types of apneas are the effort belts' own where these decide it (see `sleepfm.inference.apnea_types`).
- Desaturations are ours (see `sleepfm.signals.desaturations`).

It runs in a process of its own (`sleepfm.inference.event_process`), for it takes a minute and a gigabyte and cannot be stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sleepfm.inference.apnea_types import settle_types
from sleepfm.inference.event_signals import EEGS, FLOWS, LEGS, RATE_HZ, Part, Trace
from sleepfm.inference.psgscoring_events import BREATHS, breath_event, take_arousals, take_breathing
from sleepfm.inference.psgscoring_night import EngineEvents, EngineNight, asleep_at, at, names_of, put, sleep_hours, source_name
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName, Stage

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
_STAGES = {Stage.WAKE: "W", Stage.N1: "N1", Stage.N2: "N2", Stage.N3: "N3", Stage.REM: "R", Stage.UNKNOWN: "W"}
_BETWEEN_LEGS_S = 5.0
"""AASM v3 VII.2: movements of two legs that begin closer than this are one."""

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
            take_breathing(night, output, found)
        if has_eeg:
            take_arousals(night, output, found)
        if has_flow:
            tell(AWAKE)
            _outside_sleep(night, output, hypnogram, left_out, found)
            settle_types(night, found)
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


def _run(night: EngineNight, hypnogram: list[str], left_out: list[int]) -> dict[str, Any]:
    import mne  # noqa: PLC0415
    from psgscoring.pipeline import run_pneumo_analysis  # noqa: PLC0415

    names = names_of(night)
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


def _outside_sleep(
    night: EngineNight, output: dict[str, Any], hypnogram: list[str], left_out: list[int], found: EngineEvents
) -> None:
    """Look for apneas and hypopneas in epochs that are not sleep, as if they were N1; those of sleep stay as they were found."""
    from psgscoring.constants import SCORING_PROFILES  # noqa: PLC0415
    from psgscoring.respiratory import detect_respiratory_events  # noqa: PLC0415

    awake = np.array([stage == "W" for stage in hypnogram]) & ~night.unusable
    if not awake.any() or not output["respiratory"].get("success"):
        return
    signals = {
        name: night.traces[part].x.astype(np.float64) for part, name in names_of(night).items() if part in _BREATHING_PARTS
    }
    sensors = output["meta"]["flow_channels"]
    by_role = {_ROLES[part]: signals.get(name) for part, name in names_of(night).items() if part in _ROLES}
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
    asleep = [event for event in found.events if event.name in BREATHS]
    for event in again.get("events", []):
        middle_s = float(event["onset_s"]) + float(event["duration_s"]) / 2
        one = breath_event(night, output, event)
        if at(awake, middle_s) and not any(one.start_s < other.stop_s and other.start_s < one.stop_s for other in asleep):
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
        {"onset_s": event.start_s, "duration_s": event.stop_s - event.start_s} for event in found.events if event.name in BREATHS
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
        moved = [leg for leg in legs if not at(leg.unusable, start_s)]
        if not moved or at(night.unusable, start_s):
            continue
        leg = max(moved, key=lambda leg: _largest(leg, start_s, stop_s))
        in_series = bool(movement["is_plm"])
        periodic += in_series and asleep_at(night, start_s)
        extra: dict[str, float | str] = {}
        put(extra, "Amplitude", movement.get("amplitude_uv"))
        name = EventName.PLM if in_series else EventName.LEG_MOVEMENT
        found.events.append(Event(start_s, stop_s, name, leg.label, source_name(night.profile), extra))
    hours = sleep_hours(night)
    if hours:
        found.rates["plmi"] = (periodic / hours, None, None)


def _largest(leg: Trace, start_s: float, stop_s: float) -> float:
    within = leg.x[int(start_s * leg.rate_hz) : int(stop_s * leg.rate_hz) + 1]
    return float(np.abs(within).max()) if len(within) else 0.0
