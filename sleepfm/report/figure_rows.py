"""The rows of a report's figures: each draws one thing over the night onto axes whose x are hours from the recording's start.

Lines and bars stay vectors while they are few; the spectrogram, the quality strips and crowds of events are pictures inside.
Labels come from files: they are made printable and never read as formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sleepfm.analysis.event_indices import counted_epochs
from sleepfm.analysis.night_span import night_span
from sleepfm.colours import EVENT_COLOURS, HYPNOGRAM_ORDER, OTHER_EVENT_COLOUR, QUALITY_COLOURS, STAGE_COLOURS
from sleepfm.recording.quality import UNUSABLE, QualityFlag
from sleepfm.report.fonts import drawable
from sleepfm.report.report_data import ChannelQuality, ReportData
from sleepfm.signals.vitals import NO_POSITION
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_SHORT, EventName, Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, GRID, FAINT, GAP = "#1f2933", "#5b6673", "#e6e9ee", "#9aa3ae", "#eceef1"
SPO2_COLOUR, HEART_COLOUR, LOW_COLOUR = "#7a3510", "#a3342c", "#d9480f"
EVENT_LANES: tuple[tuple[str, tuple[EventName, ...]], ...] = (
    ("Obstr. apnea", (EventName.OBSTRUCTIVE_APNEA,)),
    ("Central apnea", (EventName.CENTRAL_APNEA,)),
    ("Mixed apnea", (EventName.MIXED_APNEA,)),
    ("Hypopnea", (EventName.HYPOPNEA,)),
    ("RERA", (EventName.RERA,)),
    ("Desaturation", (EventName.DESATURATION,)),
    ("Arousal", (EventName.AROUSAL,)),
    ("Limb", (EventName.LEG_MOVEMENT, EventName.PLM)),
    ("Snore", (EventName.SNORE,)),
    ("Artifact", (EventName.ARTIFACT,)),
)
"""From top to bottom; a lane without events is not drawn."""
MOST_CHANNELS = 20
"""Channels whose quality is drawn; the others are counted."""
MOST_VECTORS = 1500
"""More bars than this are drawn as a picture, or the file grows and its reader waits."""
SPECTRUM_PERCENTILES = (5.0, 98.0)
_BINS = 900
"""Columns of the night in which fast curves are summed up: more than paper or screen can show."""


def lanes_of(data: ReportData) -> list[tuple[str, tuple[EventName, ...]]]:
    """Return the lanes that have events."""
    there = {event.name for event in data.events}
    return [(label, names) for label, names in EVENT_LANES if there & {name.value for name in names}]


def has_spo2(data: ReportData) -> bool:
    """Whether any second has an oxygen saturation."""
    return data.vitals is not None and bool(np.isfinite(data.vitals.spo2_1hz).any())


def has_heart_rate(data: ReportData) -> bool:
    """Whether any second has a heart rate."""
    return data.vitals is not None and bool(np.isfinite(data.vitals.heart_rate_1hz).any())


def positions_of(data: ReportData) -> list[int]:
    """Return the codes of the body positions of the night, most of the time first."""
    if data.vitals is None:
        return []
    codes, seconds = np.unique(data.vitals.position_1hz[data.vitals.position_1hz != NO_POSITION], return_counts=True)
    return [int(code) for code in codes[np.argsort(-seconds, kind="stable")]][:8]


def position_name(data: ReportData, code: int) -> str:
    """Return what a position's code means; where the file does not say, its number."""
    assert data.vitals is not None
    return data.vitals.position_names.get(code, f"code {code}")


def shown_channels(data: ReportData) -> list[ChannelQuality]:
    """Return the channels whose quality is drawn: in the file's order, of too many the bad ones first."""
    if len(data.quality) <= MOST_CHANNELS:
        return list(data.quality)
    order = sorted(range(len(data.quality)), key=lambda k: (not data.quality[k].bad, k))[:MOST_CHANNELS]
    return [data.quality[k] for k in sorted(order)]


def _label(axes: Axes, text: str) -> None:
    """Write what a row shows left of it, clear of its numbers."""
    axes.text(
        -0.72, 0.5, text, transform=_inches_left(axes), rotation=90, ha="center", va="center", fontsize=7.5, linespacing=1.05
    )


def _heading(axes: Axes, text: str) -> None:
    """Write what a row shows above it, where names stand at its left."""
    axes.text(0.0, 1.0, text, transform=axes.transAxes, ha="left", va="bottom", fontsize=7)


def _inches_left(axes: Axes) -> Any:
    """Return a transform whose x is inches from the row's left edge and whose y runs over the row's height."""
    from matplotlib.transforms import Affine2D, blended_transform_factory

    figure = axes.get_figure(root=True)
    assert figure is not None
    left_in = axes.get_position().x0 * figure.get_size_inches()[0]
    return blended_transform_factory(Affine2D().translate(left_in, 0) + figure.dpi_scale_trans, axes.transAxes)


def _bouts(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Return runs of equal values as (first, stop, value)."""
    if not values.size:
        return []
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [values.size]])
    return [(int(a), int(b), int(values[a])) for a, b in pairwise(edges)]


def _shade_gaps(axes: Axes, data: ReportData) -> None:
    for start, stop in data.gaps:
        axes.axvspan(start / 3600, stop / 3600, color=GAP, linewidth=0, zorder=0)


def draw_hypnogram(axes: Axes, data: ReportData) -> None:
    """Draw the stages as steps, with lights off and on; Unknown is a grey stretch, never a step."""
    from matplotlib.collections import LineCollection

    level = {stage: len(HYPNOGRAM_ORDER) - 1 - k for k, stage in enumerate(HYPNOGRAM_ORDER)}
    per_hour = data.scoring.epoch_s / 3600
    bouts = _bouts(data.scoring.stages)
    flat, colours, risers = [], [], []
    for number, (first, stop, stage) in enumerate(bouts):
        if stage == Stage.UNKNOWN:
            axes.axvspan(first * per_hour, stop * per_hour, color=STAGE_COLOURS[Stage.UNKNOWN], alpha=0.35, linewidth=0, zorder=0)
            continue
        y = level[Stage(stage)]
        flat.append([(first * per_hour, y), (stop * per_hour, y)])
        colours.append(STAGE_COLOURS[Stage(stage)])
        if number + 1 < len(bouts) and bouts[number + 1][2] != Stage.UNKNOWN:
            risers.append([(stop * per_hour, y), (stop * per_hour, level[Stage(bouts[number + 1][2])])])
    axes.add_collection(LineCollection(risers, colors=FAINT, linewidths=0.7, zorder=2))
    axes.add_collection(LineCollection(flat, colors=colours, linewidths=3.2, capstyle="butt", zorder=3))
    axes.set_ylim(-0.5, len(HYPNOGRAM_ORDER) - 0.35)
    axes.set_yticks([level[stage] for stage in HYPNOGRAM_ORDER], [STAGE_SHORT[stage] for stage in HYPNOGRAM_ORDER])
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _label(axes, "Stage")
    _shade_gaps(axes, data)
    hours = data.facts.duration_s / 3600
    for at, words in ((data.lights_off_s, "lights off"), (data.lights_on_s, "lights on")):
        if at is not None:
            axes.axvline(at / 3600, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=4)
            side: Literal["left", "right"] = "right" if at / 3600 > 0.85 * hours else "left"
            axes.text(
                at / 3600,
                1.0,
                f" {words} " if side == "left" else f"{words} ",
                transform=axes.get_xaxis_transform(),
                ha=side,
                va="bottom",
                fontsize=7,
            )


def draw_events(axes: Axes, data: ReportData, lanes: Sequence[tuple[str, tuple[EventName, ...]]]) -> None:
    """Draw a bar for each event, pale where it is marked and not counted: outside sleep, or outside the lights."""
    from matplotlib.collections import PolyCollection

    least = data.facts.duration_s / 3600 / 700  # else a short event of a long night is thinner than the ink
    lane_of = {name.value: len(lanes) - 1 - k for k, (_, names) in enumerate(lanes) for name in names}
    counted_e = counted_epochs(data.events, data.scoring.stages, night_span(len(data.scoring.stages), data.events)) >= 0
    bars, colours = [], []
    for event, counted in zip(data.events, counted_e.tolist(), strict=True):
        if event.name not in lane_of:
            continue
        start, y = event.start_s / 3600, lane_of[event.name]
        stop = max(event.stop_s / 3600, start + least)
        bars.append([(start, y + 0.12), (stop, y + 0.12), (stop, y + 0.88), (start, y + 0.88)])
        colours.append(_rgba(EVENT_COLOURS.get(event.name, OTHER_EVENT_COLOUR), 1.0 if counted else 0.35))
    crowd = len(bars) > MOST_VECTORS
    axes.add_collection(PolyCollection(bars, facecolors=colours, edgecolors="none", rasterized=crowd, zorder=2))
    axes.set_ylim(0, len(lanes))
    axes.set_yticks(np.arange(len(lanes)) + 0.5, [label for label, _ in lanes][::-1])
    axes.set_yticks(np.arange(len(lanes) + 1), minor=True)
    axes.grid(visible=True, axis="y", which="minor")
    axes.tick_params(axis="y", which="both", length=0)
    axes.spines["left"].set_visible(False)
    _shade_gaps(axes, data)


def _rgba(colour: str, alpha: float) -> tuple[float, float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue, alpha


def _summed_up(values: np.ndarray, duration_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the middle (h), lowest, middle and highest value of each column of the night; NaN where there is none."""
    columns = max(1, min(_BINS, values.size))
    edges = np.linspace(0, values.size, columns + 1).astype(int)
    low, middle, high = (np.full(columns, np.nan) for _ in range(3))
    for k, (a, b) in enumerate(pairwise(edges)):
        there = values[a:b][np.isfinite(values[a:b])]
        if there.size:
            low[k], middle[k], high[k] = there.min(), np.median(there), there.max()
    hours = (edges[:-1] + edges[1:]) / 2 / 3600
    return np.minimum(hours, duration_s / 3600), low, middle, high


def draw_spo2(axes: Axes, data: ReportData) -> None:
    """Draw the oxygen saturation in %, its lowest and highest value of each column, and what lies below 90 %."""
    assert data.vitals is not None
    hours, low, middle, high = _summed_up(data.vitals.spo2_1hz, data.facts.duration_s)
    axes.fill_between(hours, low, high, color=SPO2_COLOUR, alpha=0.45, linewidth=0)
    axes.plot(hours, middle, color=SPO2_COLOUR, linewidth=0.7)
    below = np.where(low < 90, low, 90)
    if (below < 90).any():
        axes.fill_between(hours, below, 90, color=LOW_COLOUR, alpha=0.55, linewidth=0)
    axes.axhline(90, color=LOW_COLOUR, linewidth=0.7, linestyle=(0, (3, 2)))
    axes.set_ylim(min(80.0, np.floor(float(np.nanmin(low)) / 5) * 5), 100.5)
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    _label(axes, "SpO2, %")
    _shade_gaps(axes, data)


def draw_stage_strip(axes: Axes, data: ReportData) -> None:
    """Draw the stages as a strip of colours with their legend: what the rows below are lined up with."""
    per_hour = data.scoring.epoch_s / 3600
    for first, stop, stage in _bouts(data.scoring.stages):
        axes.axvspan(first * per_hour, stop * per_hour, color=STAGE_COLOURS[Stage(stage)], linewidth=0)
    axes.set_yticks([0.5], ["Stage"])
    axes.set_ylim(0, 1)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    _stage_legend(axes)


def _stage_legend(axes: Axes) -> None:
    from matplotlib.patches import Patch

    stages = (*HYPNOGRAM_ORDER, Stage.UNKNOWN)
    axes.legend(
        handles=[Patch(color=STAGE_COLOURS[stage], label=STAGE_SHORT[stage]) for stage in stages],
        ncols=len(stages),
        loc="lower right",
        bbox_to_anchor=(1.0, 0.85),
        frameon=False,
        fontsize=7,
        handlelength=1.0,
        handleheight=0.8,
        columnspacing=1.2,
        borderaxespad=0.1,
    )


def draw_hypnodensity(axes: Axes, data: ReportData) -> None:
    """Draw the probability of each stage, in %, stacked in the order of the hypnogram."""
    probabilities = data.scoring.probabilities
    assert probabilities is not None
    epochs = np.arange(len(probabilities) + 1) * data.scoring.epoch_s / 3600
    shares = np.nan_to_num(probabilities, nan=0.0)
    bottom = np.zeros(len(shares))
    for stage in HYPNOGRAM_ORDER[::-1]:
        top = bottom + shares[:, SCORED_STAGES.index(stage)]
        axes.fill_between(
            epochs,
            np.append(bottom, bottom[-1:]),
            np.append(top, top[-1:]),
            step="post",
            color=STAGE_COLOURS[stage],
            linewidth=0,
        )
        bottom = top
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100"])
    _label(axes, "Stage\nprobability, %")


def draw_spectrogram(axes: Axes, data: ReportData) -> None:
    """Draw the power by frequency in Hz over the night."""
    assert data.spectrum is not None
    stored = data.spectrum.spectrogram
    low, high = spectrum_limits(data)
    hours = len(stored.power_db) * EPOCH_S / 3600
    axes.imshow(
        np.ma.masked_invalid(stored.power_db.T),
        origin="lower",
        aspect="auto",
        extent=(0, hours, float(stored.frequencies_hz[0]), float(stored.frequencies_hz[-1])),
        vmin=low,
        vmax=high,
        cmap="viridis",
        interpolation="none",
    )
    axes.set_facecolor(GAP)
    axes.set_yticks([tick for tick in (5, 10, 15, 20, 25, 30) if tick <= stored.frequencies_hz[-1] + 1e-6])
    _label(axes, f"{drawable(data.spectrum.label)[:16]}, Hz")


def spectrum_limits(data: ReportData) -> tuple[float, float]:
    """Return the powers (dB) at which the spectrogram's colours begin and end."""
    assert data.spectrum is not None
    power = data.spectrum.spectrogram.power_db
    present = power[np.isfinite(power)]
    if not present.size:
        return 0.0, 1.0
    low, high = np.percentile(present, SPECTRUM_PERCENTILES)
    return float(low), float(max(high, low + 1e-3))


def draw_heart_rate(axes: Axes, data: ReportData) -> None:
    """Draw the heart rate in beats a minute, its lowest and highest value of each column."""
    assert data.vitals is not None
    hours, low, middle, high = _summed_up(data.vitals.heart_rate_1hz, data.facts.duration_s)
    axes.fill_between(hours, low, high, color=HEART_COLOUR, alpha=0.3, linewidth=0)
    axes.plot(hours, middle, color=HEART_COLOUR, linewidth=0.8)
    ends = np.percentile(data.vitals.heart_rate_1hz[np.isfinite(data.vitals.heart_rate_1hz)], (0.2, 99.8))
    axes.set_ylim(np.floor((ends[0] - 3) / 10) * 10, np.ceil((ends[1] + 3) / 10) * 10)
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    _label(axes, "Heart rate,\nbeats/min")
    _shade_gaps(axes, data)


def draw_position(axes: Axes, data: ReportData, positions: Sequence[int]) -> None:
    """Draw when the sleeper lay in which position."""
    assert data.vitals is not None
    y_of = {code: len(positions) - 1 - k for k, code in enumerate(positions)}
    codes = data.vitals.position_1hz
    for first, stop, code in _bouts(codes):
        if code in y_of:
            axes.barh(y_of[code] + 0.5, (stop - first) / 3600, 0.7, left=first / 3600, color=QUIET, linewidth=0)
    axes.set_ylim(0, len(positions))
    axes.set_yticks(np.arange(len(positions)) + 0.5, [drawable(position_name(data, code))[:16] for code in positions][::-1])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    named = any(code in data.vitals.position_names for code in positions)
    _heading(axes, "Body position" if named else "Body position: the file does not name its codes")
    _shade_gaps(axes, data)


def draw_quality(axes: Axes, shown: Sequence[ChannelQuality]) -> None:
    """Draw the quality of each channel by epoch."""
    flags = np.stack([one.flags for one in shown])
    picture = np.empty((*flags.shape, 3))
    picture[:] = _rgba(QUALITY_COLOURS["good"], 1)[:3]
    for name, found in (
        ("noted", (flags & ~(UNUSABLE | QualityFlag.GAP)) != 0),
        ("bad", (flags & UNUSABLE) != 0),
        ("gap", (flags & QualityFlag.GAP) != 0),
    ):
        picture[found] = _rgba(QUALITY_COLOURS[name], 1)[:3]
    axes.imshow(
        picture,
        aspect="auto",
        extent=(0, flags.shape[1] * EPOCH_S / 3600, len(shown), 0),
        interpolation="none",
    )
    for k in range(1, len(shown)):
        axes.axhline(k, color="white", linewidth=1.2)
    axes.set_yticks(np.arange(len(shown)) + 0.5, [drawable(one.label)[:17] for one in shown], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _heading(axes, "Quality of each channel by epoch")
