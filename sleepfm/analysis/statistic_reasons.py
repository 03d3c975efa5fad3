"""Why a number of a night is undefined, and what has to be known before the numbers are read."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from sleepfm.analysis.event_indices import APNEAS_AND_HYPOPNEAS
from sleepfm.analysis.night_numbers import NightNumbers
from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.sleep_architecture import architecture
from sleepfm.analysis.statistic_definitions import POSITION
from sleepfm.text import printable
from sleepfm.vocabulary import EventName, Stage

_NEED_LIGHTS = frozenset({"tib", "se", "sol", "persistent_latency", "waso"})
_NOT_LOOKED_FOR = "and nobody is known to have looked for them"
_BREATHING = (APNEAS_AND_HYPOPNEAS, f"no apnea or hypopnea is marked, {_NOT_LOOKED_FOR}")
_ONE_KIND = {
    "cai": EventName.CENTRAL_APNEA,
    "obstructive_apneas": EventName.OBSTRUCTIVE_APNEA,
    "central_apneas": EventName.CENTRAL_APNEA,
    "mixed_apneas": EventName.MIXED_APNEA,
    "hypopneas": EventName.HYPOPNEA,
}
_FROM_EVENTS: dict[str, tuple[tuple[EventName, ...], str]] = {
    **dict.fromkeys(
        ("ahi", "ahi_rem", "ahi_nrem", "cai", "obstructive_apneas", "central_apneas", "mixed_apneas", "hypopneas"), _BREATHING
    ),
    **dict.fromkeys(("rdi", "reras"), ((EventName.RERA,), f"no RERA is marked, {_NOT_LOOKED_FOR}")),
    **dict.fromkeys(("arousals", "arousal_index"), ((EventName.AROUSAL,), f"no arousal is marked, {_NOT_LOOKED_FOR}")),
    **dict.fromkeys(("odi3", "odi4"), ((EventName.DESATURATION,), f"no desaturation is marked, {_NOT_LOOKED_FOR}")),
    **dict.fromkeys(("plms", "plmi"), ((EventName.LEG_MOVEMENT, EventName.PLM), f"no leg movement is marked, {_NOT_LOOKED_FOR}")),
    "plmi_marked": ((EventName.PLM,), f"no movement is marked as periodic, {_NOT_LOOKED_FOR}"),
}
"""What has to be marked, or looked for, and what is said where it is not."""
_NO_SLEEP = "no epoch between lights off and lights on is scored as sleep"
_NO_SPO2, _NO_HEART_RATE = "no SpO2 in sleep that can be believed", "no heart rate in sleep that can be believed"
_WHERE_UNDEFINED = {
    "rem_latency": "no epoch between lights off and lights on is scored as R",
    "ahi_rem": "no epoch between lights off and lights on is scored as R",
    "ahi_nrem": "no epoch between lights off and lights on is scored as N1, N2 or N3",
    "persistent_latency": "nowhere are 20 epochs in a row scored as sleep",
    **dict.fromkeys(("odi3_spo2", "odi4_spo2", "t90", "t90_min", "spo2_mean", "spo2_min"), _NO_SPO2),
    **dict.fromkeys(("hr_mean", "hr_min", "hr_max"), _NO_HEART_RATE),
}


def why_none(key: str, value: float, stages_n: np.ndarray, night: NightNumbers, looked_for: Collection[str]) -> str:
    """Return why a number is undefined, "" when it is defined.

    Parameters
    ----------
    key
        Of `statistic_definitions.DEFINITIONS`, or of the AHI in a position.
    value
        What was computed, NaN when that is impossible.
    stages_n
        (n_epochs,) the scoring.
    looked_for
        Names of events of which none marked means 0.
    """
    scored_n = night.span.inside_n & (stages_n != Stage.UNKNOWN)
    if key in _NEED_LIGHTS and night.span.why_unusable:
        return night.span.why_unusable
    if key not in ("tib", "unknown") and not scored_n.any():
        return "no epoch between lights off and lights on is scored"
    if key in _NEED_ONSET and (why := _why_no_onset(key, value, stages_n, night)):
        return why
    return _why_no_events(key, night, looked_for) or _why_undefined(
        key, value, asleep=bool((scored_n & (stages_n > Stage.WAKE)).any())
    )


def _why_no_events(key: str, night: NightNumbers, looked_for: Collection[str]) -> str:
    names, not_marked = _FROM_EVENTS.get(key, _BREATHING if key.startswith(POSITION) else ((), ""))
    if names and not night.names & set(names) and not set(names) & set(looked_for):
        return not_marked
    if key in _ONE_KIND or key == "rdi" or names == APNEAS_AND_HYPOPNEAS:
        wanted = (_ONE_KIND[key],) if key in _ONE_KIND else APNEAS_AND_HYPOPNEAS
        missing = [name for name in _not_looked_for(wanted, looked_for) if name not in night.names]
        if missing:
            return f"{_listed(missing)} were not looked for, and none is marked"
    if key in ("odi3", "odi4") and night.counted.unmeasured and not night.counted.measured:
        return "the marked desaturations have no depth"
    return ""


def _not_looked_for(wanted: Collection[EventName], looked_for: Collection[str]) -> list[EventName]:
    """Return which breathing events a program that looked for others left out; none where only people marked them."""
    by_program = any(name in looked_for for name in APNEAS_AND_HYPOPNEAS)
    return [name for name in wanted if name not in looked_for] if by_program else []


def _listed(names: Collection[str]) -> str:
    return " and ".join(f"{name.lower()}s" for name in names)


def _why_undefined(key: str, value: float, *, asleep: bool) -> str:
    if np.isfinite(value):
        return ""
    return _WHERE_UNDEFINED.get(key, "no sleep in this position") if asleep else _NO_SLEEP


def _why_no_onset(key: str, value: float, stages_n: np.ndarray, night: NightNumbers) -> str:
    """Return why a latency is not known: the epochs that nobody scored may be the first sleep."""
    unknown_n = night.span.inside_n & (stages_n == Stage.UNKNOWN)
    asleep_n = night.span.inside_n & (stages_n > Stage.WAKE)
    if not asleep_n.any() or not unknown_n.any():
        return ""
    if key == "persistent_latency":
        # with the Unknown taken for sleep it would begin no earlier where what they lie in is too short
        filled_n = np.where(unknown_n, np.int8(Stage.N2), stages_n)
        earliest = architecture(filled_n[None], night.span)[key][0]
        return "" if np.array_equal(np.round([earliest], 6), [value], equal_nan=True) else f"{_UNKNOWN_FIRST} persistent sleep"
    return f"{_UNKNOWN_FIRST} sleep" if unknown_n[: int(asleep_n.argmax())].any() else ""


_NEED_ONSET = frozenset({"sol", "persistent_latency", "rem_latency"})
_UNKNOWN_FIRST = "epochs that nobody scored may be the first"


def bounds_of(stages_n: np.ndarray, span: NightSpan) -> dict[str, str]:
    """Return "≤" or "≥" by the key of each number that Unknown epochs make the most or the least that it can be."""
    unknown_n = span.inside_n & (stages_n == Stage.UNKNOWN)
    rem_n = span.inside_n & (stages_n == Stage.REM)
    found = {"waso": "≥"} if unknown_n.any() else {}
    return found | ({"rem_latency": "≤"} if unknown_n[: int(rem_n.argmax())].any() else {})


def ahi_remark(stages_n: np.ndarray, night: NightNumbers, looked_for: Collection[str]) -> str:
    """Return what of the night the AHI does not rest on a program's search, sentences; "" when on all of it."""
    said = []
    by_people = [name for name in _not_looked_for(APNEAS_AND_HYPOPNEAS, looked_for) if name in night.names]
    if by_people:
        said.append(f"The program did not look for {_listed(by_people)}: only those that people marked are counted.")
    left_out_n = night.left_out_n & night.span.inside_n & (stages_n > Stage.WAKE)
    if left_out_n.any():
        said.append(
            f"{float(night.span.seconds_n[left_out_n].sum()) / 60:.1f} min of sleep, in which no events could be looked for, are"
            " not in the hours of the AHI and the other indices of marked events; they are in those of desaturations."
        )
    return " ".join(said)


def remarks(stages_n: np.ndarray, night: NightNumbers) -> tuple[str, ...]:
    """Return what has to be known before the numbers are read, each a sentence."""
    span = night.span
    said = list(span.remarks)
    unknown_n = span.inside_n & (stages_n == Stage.UNKNOWN)
    minutes = float(span.seconds_n[unknown_n].sum()) / 60
    if minutes:
        said.append(f"{minutes:.1f} min between lights off and lights on are Unknown: they count neither as sleep nor as Wake.")
    asleep_n = span.inside_n & (stages_n > Stage.WAKE)
    onset = int(asleep_n.argmax()) if asleep_n.any() else len(stages_n)
    if unknown_n[:onset].any() and onset < len(stages_n):
        said.append("Epochs before the first sleep are Unknown: sleep may have begun there, so its latencies are not known.")
    rem_n = asleep_n & (stages_n == Stage.REM)
    if rem_n.any() and unknown_n[onset : int(rem_n.argmax())].any():
        said.append("Epochs between the first sleep and the first R are Unknown: R may have begun earlier than its latency says.")
    slept_outside = int((~span.inside_n & (stages_n > Stage.WAKE)).sum())
    if slept_outside:
        epochs = "1 epoch of sleep is" if slept_outside == 1 else f"{slept_outside} epochs of sleep are"
        said.append(f"{epochs} scored outside lights off to lights on: not counted.")
    for name, count in night.counted.outside.items():
        said.append(f"{count} × {printable(name)} outside lights off to lights on: not counted.")
    if night.counted.unmeasured:
        count = night.counted.unmeasured
        said.append(
            "1 marked desaturation has no depth: it is in neither ODI."
            if count == 1
            else f"{count} marked desaturations have no depth: they are in neither ODI."
        )
    for word, signal in (("SpO2", night.oxygen), ("heart rate", night.heart)):
        if signal is not None and asleep_n.any():
            share = float(signal.seconds_n[asleep_n].sum() / span.seconds_n[asleep_n].sum())
            if share < _ENOUGH:
                said.append(f"Only {100 * share:.0f} % of sleep has a {word} that can be believed.")
    return tuple(said)


_ENOUGH = 0.9
