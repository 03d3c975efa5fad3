"""Taking over what psgscoring found: breathing and arousals, under our names, on our channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sleepfm.inference.event_signals import EEGS, Part
from sleepfm.inference.psgscoring_night import (
    EngineEvents,
    EngineNight,
    asleep_at,
    at,
    channel_label,
    names_of,
    put,
    sleep_hours,
    source_name,
)
from sleepfm.inference.reras import reras
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName

UNCERTAIN = "uncertain"
_APNEAS = {
    "obstructive": EventName.OBSTRUCTIVE_APNEA,
    "central": EventName.CENTRAL_APNEA,
    "mixed": EventName.MIXED_APNEA,
    UNCERTAIN: EventName.OBSTRUCTIVE_APNEA,
}
APNEAS = frozenset(_APNEAS.values())
BREATHS = APNEAS | {EventName.HYPOPNEA, EventName.RERA}


def take_breathing(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    """Take over apneas, hypopneas and RERAs."""
    breathing = output["respiratory"]
    if not breathing.get("success"):
        found.skipped["Apneas and hypopneas"] = f"psgscoring failed on them: {breathing.get('error')}"
        found.skipped["RERA"] = "it needs the apneas and hypopneas"
        return
    for event in breathing["events"]:
        found.events.append(breath_event(night, output, event))
    if Part.SPO2 not in night.traces:
        arousals = links_arousals(night.profile) and bool(output["arousal"].get("success"))
        what = "Hypopneas without an arousal" if arousals else "Hypopneas"
        found.skipped[what] = "no usable SpO2 channel; a hypopnea needs a desaturation or an arousal"
    if not {Part.THORAX, Part.ABDOMEN} & night.traces.keys():
        found.skipped["Types of apneas"] = "no usable channel of effort; apneas without a type are marked as obstructive"
    rejected = bool(output["meta"]["flow_channels"].get("thermistor_rejected"))
    if rejected:
        instead = channel_label(night, output["meta"]["flow_channels"]["apnea_sensor"])
        found.remarks.append(
            f"psgscoring cannot use {night.traces[Part.THERMISTOR].label}: apneas are scored from {instead} in its place."
        )
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
        "thermistor_rejected": rejected,
        "effort_mode": (output.get("signal_quality") or {}).get("recommended_mode"),
    }


def breath_event(night: EngineNight, output: dict[str, Any], event: Mapping[str, Any]) -> Event:
    """Return an apnea or hypopnea of psgscoring's as ours."""
    kind = str(event["type"])
    sensors = output["meta"]["flow_channels"]
    apnea = kind in _APNEAS
    extra: dict[str, float | str] = {}
    put(extra, "Desaturation", event.get("desaturation_pct"))
    put(extra, "NadirSpO2", event.get("min_spo2"))
    put(extra, "FlowReduction", event.get("flow_reduction_pct"))
    put(extra, "Confidence", event.get("confidence"))
    if kind == UNCERTAIN:  # of hypopneas no type is taken: psgscoring says itself that theirs tells of the belts' fit
        extra["Type"] = UNCERTAIN
    return Event(
        start_s=float(event["onset_s"]),
        stop_s=float(event["onset_s"]) + float(event["duration_s"]),
        name=_APNEAS[kind] if apnea else EventName.HYPOPNEA,
        channel=channel_label(night, sensors["apnea_sensor" if apnea else "hypopnea_sensor"]),
        source=source_name(night.profile),
        extra=extra,
    )


def _reras(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    """Find RERAs among psgscoring's breaths and arousals: see `sleepfm.inference.reras`."""
    if not links_arousals(night.profile):
        found.skipped["RERA"] = f"the rules {night.profile} do not link arousals to breathing"
        return
    if not output["arousal"].get("success"):
        found.skipped["RERA"] = "it needs arousals, which could not be scored"
        return
    sensor = output["meta"]["flow_channels"]["hypopnea_sensor"]
    if names_of(night).get(Part.THERMISTOR) == sensor:
        found.skipped["RERA"] = "it needs nasal pressure; a thermistor does not show that flow is limited"
        return
    flat = [(one["onset_s"], one["duration_s"], one["flattening"]) for one in output["respiratory"].get("_breaths", [])]
    breaths_n3 = np.array(flat, dtype=np.float64).reshape(-1, 3)
    arousals = [float(one["onset_s"]) for one in output["arousal"]["events"]]
    others = [(event.start_s, event.stop_s) for event in found.events if event.name in BREATHS]
    channel = channel_label(night, sensor)
    taken = [
        Event(start_s, stop_s, EventName.RERA, channel, source_name(night.profile))
        for start_s, stop_s in reras(breaths_n3, arousals, others)
        if not at(night.unusable, start_s)
    ]
    found.events += taken
    if taken:
        found.remarks.append("RERAs rest on flattened flow and an arousal alone, without a pressure probe: look at each.")
    hours = sleep_hours(night)
    if hours:
        found.rates["rera_index"] = (sum(asleep_at(night, one.start_s) for one in taken) / hours, None, None)


def links_arousals(profile: str) -> bool:
    """Return whether arousals bear on hypopneas and RERAs in a profile."""
    from psgscoring.constants import SCORING_PROFILES  # noqa: PLC0415

    return bool(SCORING_PROFILES[profile].get("AROUSAL_LIMB_WIRED"))


def take_arousals(night: EngineNight, output: dict[str, Any], found: EngineEvents) -> None:
    """Take over arousals, but for those in epochs in which their EEG is unusable."""
    eeg = [part for part in EEGS if part in night.traces]
    arousal = output["arousal"]
    if not arousal.get("success"):
        found.skipped["Arousals"] = f"psgscoring failed on them: {arousal.get('error')}"
        return
    summary = arousal.get("summary", {})
    names = {name: part for part, name in names_of(night).items()}
    taken = 0
    for event in arousal["events"]:
        part = names.get(str(event.get("derivation")), eeg[0])
        start_s, stop_s = float(event["onset_s"]), float(event["onset_s"]) + float(event["duration_s"])
        if at(night.traces[part].unusable, start_s) or at(night.unusable, start_s):
            continue
        taken += 1
        extra: dict[str, float | str] = {}
        put(extra, "Confidence", event.get("lgbm_proba", event.get("confidence")))
        if event.get("type") in {"respiratory", "spontaneous"}:
            extra["Type"] = str(event["type"])
        found.events.append(
            Event(start_s, stop_s, EventName.AROUSAL, night.traces[part].label, source_name(night.profile), extra)
        )
    hours = sleep_hours(night)
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
