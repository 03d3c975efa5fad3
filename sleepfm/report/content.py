"""What a report says in words and tables, the same for a page of HTML and for paper.

Pure: `ReportData` in, texts out. Texts from files are made printable here, so that whoever draws them only escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from sleepfm.analysis.event_indices import counted_epochs
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.sleep_statistics import Statistic
from sleepfm.analysis.statistic_definitions import POSITION
from sleepfm.recording.scorings.scoring import Event
from sleepfm.report.figure_rows import has_heart_rate, has_spo2, positions_of, shown_channels, spectrum_limits
from sleepfm.report.fonts import drawable
from sleepfm.report.report_data import ReportData, State
from sleepfm.vocabulary import EventName, Stage

RESEARCH = "For research use. Not a medical device; nothing here is a diagnosis."
DASH = "–"
OLDEST_TOLD = 89.0
"""Older ages are few enough to name somebody (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))."""
SLEEP_KEYS = ("tib", "tst", "se", "sol", "rem_latency", "waso", "awakenings")
STAGE_KEYS = (("N1", "n1"), ("N2", "n2"), ("N3", "n3"), ("R", "rem"))
BREATHING_KEYS = ("ahi", "ahi_rem", "ahi_nrem")
OXYGEN_KEYS = ("odi3", "odi4", "t90", "spo2_mean", "spo2_min")
OTHER_KEYS = ("arousal_index", "plmi", "hr_mean")
EVENT_COLUMNS = ("Event", "Marked", "Counted", "Of these in R", "Mean length", "Longest")
EVENTS_NOTE = (
    "Marked: in every stage, all over the recording. Counted, as in the indices: any part of it lies in an epoch scored as sleep"
    " between lights off and lights on (of an arousal also the 10 s before it); in R, when the first such epoch is R. What has a"
    " dash is in no index by itself; of desaturations ODI 3 and 4 take those that are deep enough, of leg movements the PLM index"
    " those in a series."
)
INTERVAL = "95 %, from uncertain stages"
"""Over the intervals: which doubt they are of, and which not."""
IN_PLACE_OF = {"odi3": "odi3_spo2", "odi4": "odi4_spo2", "plmi": "plmi_marked"}
"""What stands on the first page where nothing was marked that the number could be counted from."""
AHI_RANGES: tuple[tuple[float, str], ...] = (
    (5.0, "below 5/h"),
    (15.0, "mild range: 5 to below 15/h"),
    (30.0, "moderate range: 15 to below 30/h"),
    (float("inf"), "severe range: 30/h and above"),
)
AHI_SOURCE = "bounds 5, 15 and 30/h: AASM Task Force, Sleep 1999;22:667"


@dataclass(frozen=True)
class Line:
    """A name with its number and its interval, as they are printed."""

    name: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Group:
    """Numbers that stand together on the first page; the note says why some are missing."""

    title: str
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    shares
        Of the width, one a column.
    numbers
        Columns that stand on the right.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...]
    numbers: frozenset[int] = frozenset()
    note: str = ""


def title(data: ReportData) -> str:
    """Return the report's name."""
    return f"Sleep study {drawable(data.facts.study)}"


def simulated_words(data: ReportData) -> str:
    """Return the large words over everything that was simulated; "" for a person's night and models of people."""
    if data.facts.simulated:
        return "SIMULATED RECORDING"
    return "SIMULATED MODEL" if data.simulated_models else ""


def simulated_sentence(data: ReportData) -> str:
    """Return what the large words mean; "" where there are none."""
    models = ", ".join(drawable(name) for name in data.simulated_models)
    if data.facts.simulated:
        return "These signals never came from a person."
    return f"{models}: trained on simulated signals, so what it says of a person means nothing." if models else ""


def state_headline(data: ReportData) -> str:
    """Return the one word or two that a physician looks for first."""
    if data.standing.broken:
        return "SIGNATURE BROKEN"
    return {State.SIGNED: "SIGNED", State.REVIEWED: "REVIEWED, NOT SIGNED"}.get(data.standing.state, "UNSIGNED DRAFT")


def state_sentence(data: ReportData) -> str:
    """Return who stands behind the stages and events."""
    standing = data.standing
    scorer, proposal = drawable(standing.scorer), drawable(standing.proposal)
    if standing.state is State.PROPOSAL:
        origin = f"proposed by {proposal}" if standing.by_program else f"as they came: {proposal}"
        return f"Stages {origin}; nobody has reviewed them here."
    changed = f"{standing.changed_epochs:,} {_plural(standing.changed_epochs, 'epoch')} changed by {scorer}"
    origin = f"Stages proposed by {proposal}, {changed}" if proposal else f"Stages scored by {scorer}, begun from nothing"
    made = f"{origin}; {standing.looked_at:,} of {len(data.scoring.stages):,} epochs set or confirmed by hand."
    if data.by_hand is not None and data.by_hand.sentence:
        made += f" {drawable(data.by_hand.sentence)}"
    if standing.broken:
        return f"{made} It was changed after {drawable(standing.signed_by)} signed it: nobody stands behind this content."
    if standing.state is State.SIGNED:
        return f"Signed by {drawable(standing.signed_by)} {moment(standing.signed_at)}. {made} Content sha256 {standing.sha256}"
    if standing.state is State.REVIEWED:
        return f"{made} Marked as reviewed, not signed."
    return made if standing.changed_at is None else f"{made} Last edit {moment(standing.changed_at)}."


def moment(at: datetime | None) -> str:
    """Return a moment, as "2026-11-20 06:12 UTC"."""
    return DASH if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def facts(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Return which night it is, as names and values."""
    of = data.facts
    found = [("Study", drawable(of.study))]
    if of.patient is not None:
        found.append(("Patient field", drawable(of.patient) or DASH))
    if of.start_date is not None:
        found.append(("Recorded on", f"{of.start_date:%Y-%m-%d}"))
    if of.age is not None:
        found.append(
            ("Age", f"{of.age:.0f} years" if of.identified or of.age <= OLDEST_TOLD else f"over {OLDEST_TOLD:.0f} years")
        )
    if of.sex is not None:
        found.append(("Sex", drawable(of.sex)))
    found.append(("Recorded", _night(data)))
    found.append(("Lights off", _at(data, data.lights_off_s)))
    found.append(("Lights on", _at(data, data.lights_on_s)))
    marked = any(event.name not in (EventName.LIGHTS_OFF, EventName.LIGHTS_ON) for event in data.events)
    found.append(("Events", drawable(data.events_by) if marked else "none marked"))
    return tuple(found)


def _night(data: ReportData) -> str:
    length = f"{data.facts.duration_s / 3600:.1f} h"
    if data.facts.start_time is None:
        return f"{length}, no start time in the header"
    return f"{data.facts.start_time:%H:%M} to {_at(data, data.facts.duration_s)} ({length})"


def _at(data: ReportData, at_s: float | None) -> str:
    """Return a moment of the night as a clock time, else as time from the start."""
    if at_s is None:
        return "not marked"
    start = data.facts.start_time
    if start is None:
        return f"{_hours(at_s / 60)} from the start"
    whole = int(start.hour * 3600 + start.minute * 60 + start.second + at_s)
    return f"{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}"


def _hours(minutes: float) -> str:
    whole = round(minutes)
    return f"{whole // 60} h {whole % 60:02d} min"


def groups(data: ReportData) -> tuple[Group, ...]:
    """Return the main numbers of the first page."""
    stages = [_stage_line(data, *words) for words in STAGE_KEYS]
    unknown = data.statistics["unknown"]
    if unknown.value:
        stages.append(Line(unknown.name, unknown.text))
    return (
        _group(data, "Sleep", SLEEP_KEYS),
        _group(data, "Arousals, limbs, heart", OTHER_KEYS),
        Group("Stages, of total sleep time", tuple(stages)),
        _group(data, "Breathing and oxygen", (*BREATHING_KEYS, *_positions(data), *OXYGEN_KEYS)),
    )


def _positions(data: ReportData) -> list[str]:
    return [one.key for one in data.statistics.items if one.key.startswith(POSITION)]


def _stage_line(data: ReportData, name: str, key: str) -> Line:
    minutes, share = data.statistics[key], data.statistics[f"{key}_share"]
    return Line(name, f"{minutes.text}{'' if share.value is None else f' · {share.text}'}", share.interval)


def _shown(data: ReportData, key: str) -> Statistic:
    wanted = data.statistics[key]
    other = data.statistics[IN_PLACE_OF[key]] if key in IN_PLACE_OF else wanted
    return other if wanted.value is None and other.value is not None else wanted


def _group(data: ReportData, name: str, keys: Sequence[str]) -> Group:
    chosen = [_shown(data, key) for key in keys]
    lines = []
    for one in chosen:
        if one.value is None:
            continue
        lines.append(Line(one.name, one.text, one.interval))
        if one.key == "ahi" and data.ahi_rule is not None and data.ahi_rule.range:
            lines.append(Line("AHI by stricter to looser rule", data.ahi_rule.range))
    missing: dict[str, list[str]] = {}
    for one in chosen:
        if one.value is None:
            missing.setdefault(one.why_none, []).append(one.name)
    note = " ".join(f"{', '.join(names)}: {_sentence(why)}" for why, names in missing.items())
    return Group(name, tuple(lines), note)


def ahi_sentence(data: ReportData) -> str:
    """Return the range that the AHI lies in, with the bounds and their source; "" where there is no AHI."""
    ahi = data.statistics["ahi"]
    if ahi.value is None:
        return ""
    shown = float(f"{ahi.value:.1f}")  # the range is of the number that is read
    words = next(words for bound, words in AHI_RANGES if shown < bound)
    return f"AHI {ahi.text}: {words} ({AHI_SOURCE})."


def rule_sentence(data: ReportData) -> str:
    """Return by which rule the events of the AHI were scored, and what others make of it; "" where nobody said."""
    return "" if data.ahi_rule is None else drawable(data.ahi_rule.sentence)


def interval_heading(group: Group) -> str:
    """Return what stands over the intervals of a group; "" where it has none."""
    return INTERVAL if any(line.interval for line in group.lines) else ""


def remarks(data: ReportData) -> tuple[str, ...]:
    """Return what a reader has to know before the numbers."""
    every = (*data.remarks, *data.statistics.remarks, *data.scoring.warnings, *(data.vitals.remarks if data.vitals else ()))
    return tuple(_sentence(drawable(one)) for one in dict.fromkeys(every))


def detail_caption(data: ReportData) -> str:
    """Return the words under the second figure."""
    said = []
    if data.scoring.probabilities is not None:
        said.append("Stage probabilities are the proposal's, before any edit.")
    if data.spectrum is not None:
        low, high = spectrum_limits(data)
        unit = drawable(data.spectrum.unit) or "unit"
        said.append(
            f"Multitaper spectrogram of {drawable(data.spectrum.label)}, dark blue {low:.0f} to yellow"
            f" {high:.0f} dB re 1 {unit}²/Hz."
        )
    if data.quality:
        left = len(data.quality) - len(shown_channels(data))
        said.append(
            "Quality of each channel by epoch: green nothing found, yellow noted (line noise, pops), red unusable, grey no data."
        )
        if left:
            said.append(f"{left} more channels are in the table.")
    return " ".join(said)


def absent(data: ReportData) -> str:
    """Return which of the figures' rows this night cannot have, and why; "" when all are there."""
    lacking = [
        name
        for name, there in (
            ("oxygen saturation", has_spo2(data)),
            ("heart rate", has_heart_rate(data)),
            ("body position", bool(positions_of(data))),
            ("spectrogram", data.spectrum is not None),
            ("stage probabilities", data.scoring.probabilities is not None),
            ("channel quality", bool(data.quality)),
        )
        if not there
    ]
    return f"Not in this recording or scoring: {', '.join(lacking)}." if lacking else ""


def tables(data: ReportData) -> tuple[Table, ...]:
    """Return the tables behind the first two pages."""
    made = [*_statistic_tables(data)]
    if events := _events(data):
        made.append(events)
    if data.quality:
        rows = tuple((drawable(one.label), one.kind, ("bad: " if one.bad else "") + drawable(one.words)) for one in data.quality)
        made.append(Table("Channels", ("Channel", "Kind", "Quality"), rows, (0.25, 0.2, 0.55)))
    if data.standing.edits:
        edits = tuple((drawable(_EDITS.get(action, action)), f"{count:,}") for action, count in data.standing.edits.items())
        note = "Entries of the log of this scoring; the log itself, epoch by epoch, is exported beside the scoring."
        made.append(Table("Edits", ("What", "Times"), edits, (0.36, 0.12), frozenset({1}), note))
    origins = tuple((drawable(name), drawable(value)) for name, value in data.provenance)
    made.append(Table("Provenance", ("What", "With what"), origins, (0.25, 0.75), note=f"Made {moment(data.made_at)}."))
    return tuple(made)


_EDITS = {
    "begin": "Scoring begun",
    "score": "Stages set or confirmed",
    "event": "Events made, changed or deleted",
    "lights": "Lights off or on marked",
    "take events": "Events of a program or a file taken",
    "reset stages": "Stages set back to the proposal",
    "reset events": "Events set back to the first ones",
    "undo": "Edits undone",
    "redo": "Edits made again",
    "mark as reviewed": "Marked as reviewed",
    "sign": "Signed",
    "reopen": "Opened again",
}
"""Entries of the log in words."""


def _statistic_tables(data: ReportData) -> list[Table]:
    made = []
    for group in dict.fromkeys(one.group for one in data.statistics.items):
        items = [one for one in data.statistics.items if one.group == group]
        rows = [(one.name, one.text, one.interval or DASH, _told(one)) for one in items]
        columns = ("Number", "Value", INTERVAL, "What is counted, and where others differ")
        shares: tuple[float, ...] = (0.23, 0.12, 0.16, 0.49)
        if any(one.interval for one in items):
            made.append(Table(group, columns, tuple(rows), shares, frozenset({1, 2})))
        else:  # a column of dashes says nothing
            made.append(
                Table(
                    group, columns[:2] + columns[3:], tuple(row[:2] + row[3:] for row in rows), (0.25, 0.13, 0.62), frozenset({1})
                )
            )
    return made


def _told(one: Statistic) -> str:
    """Return why a number is missing, what it means, what its interval leaves out, and what others count."""
    said = [f"None: {_sentence(one.why_none)}"] if one.value is None else []
    said += [_sentence(one.definition), _sentence(one.interval_note)]
    if one.others:
        said.append(f"Elsewhere: {_sentence(one.others)}")
    return " ".join(text for text in said if text)


def _events(data: ReportData) -> Table | None:
    rows = event_rows(data.events, data.scoring.stages)
    if not rows:
        return None
    return Table("Events", EVENT_COLUMNS, rows, (0.3, 0.14, 0.14, 0.14, 0.14, 0.14), frozenset(range(1, 6)), EVENTS_NOTE)


def event_rows(events: Sequence[Event], stages: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Return a row of `EVENT_COLUMNS` for each name among the events, lights left out, in the order of `EventName`.

    Parameters
    ----------
    events
        As they are marked, in every stage, lights among them.
    stages
        (n_epochs,) numbers of `Stage`, 30-s epochs from the recording's start.
    """
    at_e = counted_epochs(events, stages, night_span(len(stages), events))
    in_r_e = np.isin(at_e, np.flatnonzero(stages == Stage.REM))
    name_e = np.array([event.name for event in events], dtype=object)
    seconds_e = np.array([event.stop_s - event.start_s for event in events])
    rows = []
    for name in EventName:
        these_e = name_e == name.value
        if name in (EventName.LIGHTS_OFF, EventName.LIGHTS_ON) or not these_e.any():
            continue
        counts = (int((at_e[these_e] >= 0).sum()), int(in_r_e[these_e].sum()))
        rows.append(
            (
                name.value,
                f"{int(these_e.sum()):,}",
                *((DASH, DASH) if name in _IN_NO_INDEX else (f"{count:,}" for count in counts)),
                f"{seconds_e[these_e].mean():.1f} s",
                f"{seconds_e[these_e].max():.1f} s",
            )
        )
    return tuple(rows)


_IN_NO_INDEX = (EventName.LEG_MOVEMENT, EventName.SNORE, EventName.ARTIFACT)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
