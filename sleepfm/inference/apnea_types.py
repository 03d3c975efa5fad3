"""A second look at the types of apneas: psgscoring finds them, the effort belts say what they are.

psgscoring 0.37.0 asks first how the belts move against each other, and calls an apnea obstructive when their phases differ by 45°
or more. So do those of belts at rest, which are noise: central and mixed apneas are obstructive to it (of the central ones of its
own reference nights it finds 20 %).
"""

from __future__ import annotations

from dataclasses import replace

from sleepfm.inference.event_signals import Part
from sleepfm.inference.psgscoring_events import APNEAS, BREATHS, UNCERTAIN
from sleepfm.inference.psgscoring_night import EngineEvents, EngineNight
from sleepfm.signals.effort import apnea_type, prepare_belt

BY_BELTS, BY_ENGINE = "by the effort belts", "by psgscoring"
"""What an apnea's `Type` says of where its type is from; "uncertain" when neither can tell: it is marked as obstructive then."""


def settle_types(night: EngineNight, found: EngineEvents) -> None:
    """Give each apnea the type that the effort belts show; where they do not decide it psgscoring's stays."""
    traces = [night.traces[part] for part in (Part.THORAX, Part.ABDOMEN) if part in night.traces]
    belts = [prepare_belt(trace.x, trace.rate_hz, trace.unusable) for trace in traces]
    breaths = [(event.start_s, event.stop_s) for event in found.events if event.name in BREATHS]
    by_belts = by_engine = uncertain = 0
    for number, event in enumerate(found.events):
        if event.name not in APNEAS:
            continue
        seen = apnea_type(event.start_s, event.stop_s, belts, breaths)
        if seen is not None:
            by_belts += 1
            # The confidence is psgscoring's in its own type.
            extra = {key: value for key, value in event.extra.items() if key != "Confidence"} | {"Type": BY_BELTS}
            found.events[number] = replace(event, name=seen, extra=extra)
        elif not belts or event.extra.get("Type") == UNCERTAIN:
            uncertain += 1
            found.events[number] = replace(event, extra=event.extra | {"Type": UNCERTAIN})
        else:
            by_engine += 1
            found.events[number] = replace(event, extra=event.extra | {"Type": BY_ENGINE})
    found.about["apnea_types"] = {BY_BELTS: by_belts, BY_ENGINE: by_engine, UNCERTAIN: uncertain}
    apneas = by_belts + by_engine + uncertain
    if by_belts:
        found.remarks.append(
            f"The types of {by_belts} of {apneas} apneas are read from effort in the belts, a rule that was tried on simulated"
            " nights alone: look at the effort before a type is reported."
        )
    if by_engine:
        found.remarks.append(
            f"The belts do not decide the types of {by_engine} of {apneas} apneas: theirs are psgscoring's, which calls most"
            " central and mixed ones obstructive."
        )
    if uncertain:
        found.remarks.append(f"Apneas whose type cannot be told, marked as obstructive: {uncertain}.")
