"""What `inspect` found, as text for a terminal of 120 columns; nothing from the file can control the terminal."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections import Counter, defaultdict
from typing import Any

from sleepfm.text import printable
from sleepfm.vocabulary import Modality

_WIDTH = 120
_GUTTER = "  "
_WIDEST = {"Label": 24, "Unit": 10, "Kind": 16, "Quality": 34}
"""Columns that could grow without bound (labels full of escapes); "Why" has what the others leave."""
_LEAST_WHY = 24
_MOST_LINES = 40
"""Gaps or problems shown; JSON has them all."""


def inspection_text(found: dict[str, Any]) -> str:
    """Return what `inspect` found as lines for people: the table of channels, then whatever is to be known about them."""
    lines = _heading(found)
    if found["channels"]:
        lines += ["", *_table(found["channels"])]
    for title, texts in _sections(found).items():
        if texts:
            lines += ["", f"{title}:"]
            for text in texts[:_MOST_LINES]:
                lines += textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
            if len(texts) > _MOST_LINES:
                lines.append(f"  and {len(texts) - _MOST_LINES} more (--json lists all)")
    return "\n".join(lines)


def _heading(found: dict[str, Any]) -> list[str]:
    channels, quality = found["channels"], found["quality"]
    start = "unknown" if found["start"] is None else found["start"].replace("T", " ")
    counts = Counter(one["modality"] for one in channels)
    used = [f"{modality.value} {counts[modality.value]}" for modality in Modality if counts[modality.value]]
    used += [f"not used {counts[None]}"] if counts[None] else []
    said = [_count(len(channels), "channel") + (f" ({', '.join(used)})" if used else "")]
    said += [_count(found["annotations"], "annotation"), _count(len(found["gaps"]), "gap")]
    lines = [f"{printable(found['file'])}: {found['format']}, {_clock(found['duration_s'])}, start {start}", ", ".join(said)]
    if found["simulated"]:
        lines.append("SIMULATED: made by software, not recorded from a person")
    if not channels and found["annotations"]:
        lines.append("No signals: the file holds annotations only, such as a scoring.")
    if quality and quality["epochs"] and any(one["modality"] for one in channels):
        bad = [_name(one) for one in channels if one["bad"]]
        usable = f"{math.floor(100 * quality['share_good'])} % of the signals' 30-s epochs are usable"
        lines += textwrap.wrap(f"{usable}; bad channels: {', '.join(bad)}" if bad else usable, _WIDTH)
    return lines


def _sections(found: dict[str, Any]) -> dict[str, list[str]]:
    channels = found["channels"]
    by_problem: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in channels:
        for problem in (*one["problems"], one.get("unit_suspicion", "")):
            if problem:
                by_problem[printable(problem)].append(one)
    cut = [f"{_name(one)}: {_quality(one)}" for one in channels if len(_quality(one)) > _WIDEST["Quality"]]
    return {
        "Problems of the file": [printable(problem) for problem in found["problems"]],
        "Problems of channels": [f"{_which(affected)}: {problem}" for problem, affected in by_problem.items()],
        "Quality in full": cut,
        "Gaps": [f"{_clock(start)} to {_clock(stop)} ({stop - start:g} s)" for start, stop in found["gaps"]],
        "Derivations that can be made": [", ".join(printable(one["label"]) for one in found["derivations"])]
        if found["derivations"]
        else [],
    }


def _table(channels: list[dict[str, Any]]) -> list[str]:
    columns = {
        "#": [str(one["index"]) for one in channels],
        "Label": [printable(one["label"]) for one in channels],
        "Hz": [f"{one['rate_hz']:g}" for one in channels],
        "Unit": [printable(one["unit"]) for one in channels],
        "Kind": [one["kind"] for one in channels],
        "Modality": [one["modality"] or "–" for one in channels],
        "Quality": [_quality(one) for one in channels],
        "Why": [printable(one["reason"]) for one in channels],
    }
    shown = {head: cells for head, cells in columns.items() if any(cells)}
    left = _WIDTH
    lines = [""] * (len(channels) + 1)
    for head, cells in shown.items():
        most = max(left, _LEAST_WHY) if head == "Why" else _WIDEST.get(head, _WIDTH)
        texts = [_cut(text, most) for text in (head, *cells)]
        width = max(map(_columns, texts))
        left -= width + len(_GUTTER)
        lines = [line + text + " " * (width - _columns(text)) + _GUTTER for line, text in zip(lines, texts, strict=True)]
    heading, *rows = (line.rstrip() for line in lines)
    return [heading, "-" * max(map(_columns, (heading, *rows))), *rows]


def _quality(one: dict[str, Any]) -> str:
    """Return the channel's quality in its column's words; "" when it was not looked at."""
    if "quality" not in one:
        return ""
    suspicion = one["unit_suspicion"]
    words = one["quality"].removesuffix(f"; {suspicion}") if suspicion else one["quality"]
    words = "–" if words == "not judged" else words
    words = f"{words}, unit?" if suspicion else words
    return f"BAD: {words}" if one["bad"] else words


def _name(one: dict[str, Any]) -> str:
    return f"{one['index']} {_cut(printable(one['label']), _WIDEST['Label'])}".rstrip()


def _which(channels: list[dict[str, Any]]) -> str:
    return _name(channels[0]) if len(channels) == 1 else f"channels {', '.join(str(one['index']) for one in channels)}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian characters two, combining ones none."""
    return sum(0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _cut(text: str, most: int) -> str:
    if _columns(text) <= most:
        return text
    while _columns(text) > most - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def _clock(seconds: float) -> str:
    whole = math.floor(seconds)
    fraction = f"{seconds - whole:.3f}".lstrip("0").rstrip("0").rstrip(".") if seconds != whole else ""
    return f"{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}{fraction}"
