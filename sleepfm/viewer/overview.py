"""What the viewer needs of a whole night: channels and montages, scorings, marks, events, quality, the stored spectrogram."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.analysis.spectrogram import read_spectrogram
from sleepfm.analysis.spectrogram_choice import first_spectrogram
from sleepfm.errors import RequestError
from sleepfm.inference.simulated_models import SIMULATED_WORDS, simulated_warning
from sleepfm.recording.derivations import Derivation, montages
from sleepfm.recording.quality import FLAG_WORDS, UNUSABLE, QualityFlag, QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.display_filters import default_filter
from sleepfm.signals.trace_windows import Trace, trace_key
from sleepfm.text import printable
from sleepfm.viewer.display_scales import display_scales
from sleepfm.viewer.review_marks import are_compared, review_marks
from sleepfm.viewer.signed_in import User
from sleepfm.viewer.study_source import NamedScoring, StudySource
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, Kind

PROBABILITY_ONE = 65535
SPECTRUM_PERCENTILES = (5.0, 98.0)
"""Powers from which the colours of the spectrogram run; outside they stay at the ends."""


def overview(source: StudySource, study_id: str, chosen: Sequence[str], user: User) -> dict[str, Any]:
    """Return everything but the signals, ready for JSON.

    The events stand in the review of the upper scoring where it has one, and are not given twice; of a lower scoring that is
    somebody's review there is what it takes to follow it (`review_answers.followed_json`).

    Parameters
    ----------
    source, study_id
        The study.
    chosen
        Ids of the scorings to show, from top to bottom; "" for none. Unknown ids (a scoring that was made anew) are left out.
    user
        Who looks: a review says what they may do with it.
    """
    recording = source.recording(study_id)
    epochs = max(1, int(np.ceil(recording.duration_s / EPOCH_S - 1e-6)))
    by_id = {scoring.id: scoring for scoring in source.scorings(study_id)}
    scorings = [by_id[one] for one in dict.fromkeys(chosen) if one in by_id]
    reviewed = source.review(scorings[0].id, user) if scorings and scorings[0].by_person else None
    followed = [source.followed(one.id) if one.by_person else None for one in scorings[1:]]
    proposed = None if reviewed is None else reviewed["proposed"]
    marks = [mark for mark in review_marks(scorings, proposed) if mark.epoch <= epochs]
    quality = source.quality(study_id)
    return {
        "study": study_id,
        "epochs": epochs,
        "duration_s": recording.duration_s,
        "start": None if recording.start is None else recording.start.isoformat(timespec="milliseconds"),
        "simulated": recording.simulated,
        "gaps": [list(gap) for gap in recording.gaps],
        **_traces(recording),
        "scorings": [
            _scoring(scoring, epochs, simulated_recording=recording.simulated) | {"review": review}
            for scoring, review in zip(scorings, [reviewed, *followed], strict=False)
        ],
        "compared": are_compared(scorings, proposed),
        "to_review": [{"epoch": mark.epoch, "why": mark.why} for mark in marks],
        "events": _events(source.events(study_id)) if reviewed is None else None,
        "quality": None if quality is None else _quality(quality, recording, epochs),
        "spectrograms": _spectrograms(source.spectrograms(study_id), recording, [*scorings, *by_id.values()]),
    }


def _traces(recording: Recording) -> dict[str, Any]:
    """Every trace any montage shows, once, and the montages as lists of their keys."""
    offered: dict[tuple[str, ...], str] = {}
    for montage in montages(recording):
        # a small recording fills several montages with the same traces: the first name serves
        offered.setdefault(tuple(trace_key(one.plus, one.minus) for one in montage.traces), montage.name)
    every = {trace_key(one.plus, one.minus): one for montage in montages(recording) for one in montage.traces}
    return {
        "traces": describe_traces(recording, list(every.values())),
        "montages": [{"name": name, "traces": list(keys)} for keys, name in offered.items()],
    }


def describe_traces(recording: Recording, derivations: Sequence[Derivation]) -> list[dict[str, Any]]:
    """Return what the browser needs to ask for traces and to draw them: key, names, unit, filter and opening scale of each."""
    traces: list[dict[str, Any]] = []
    parts: list[tuple[Trace, Kind, str]] = []
    for derivation in derivations:
        channel = recording.channel(derivation.plus)
        display_filter = default_filter(derivation.kind).below_nyquist(channel.rate_hz)
        traces.append(
            {
                "key": trace_key(derivation.plus, derivation.minus),
                "label": printable(derivation.label),
                "kind": derivation.kind.value,
                "modality": derivation.modality,
                "unit": channel.unit,
                "rate_hz": channel.rate_hz,
                "channels": [printable(recording.channel(index).label) for index in (derivation.plus, *derivation.minus)],
                "filter": {"high_pass_hz": display_filter.high_pass_hz, "low_pass_hz": display_filter.low_pass_hz},
            }
        )
        parts.append((Trace(derivation.plus, derivation.minus, display_filter), derivation.kind, channel.unit))
    for trace, scale in zip(traces, display_scales(recording, parts), strict=True):
        trace["scale"] = {"per_lane": scale.per_lane, "centre": scale.centre, "fixed": scale.fixed}
    return traces


def _spectrograms(stored: Mapping[str, Path], recording: Recording, scorings: Sequence[NamedScoring]) -> list[dict[str, Any]]:
    """Return the stored spectrograms in the order of the montages, and which of them to show first."""
    labels: dict[str, str] = {}
    for derivation in (one for montage in montages(recording) for one in montage.traces):
        key = trace_key(derivation.plus, derivation.minus)
        if key in stored:
            labels.setdefault(key, derivation.label)
    first = first_spectrogram(list(labels.values()), [scoring.signals for scoring in scorings])
    return [{"trace": key, "label": printable(label), "first": label == first} for key, label in labels.items()]


def _scoring(named: NamedScoring, epochs: int, *, simulated_recording: bool) -> dict[str, Any]:
    stages, probabilities = named.scoring.stages[:epochs], named.scoring.probabilities
    packed = None
    if probabilities is not None:
        shares = np.nan_to_num(probabilities[:epochs], nan=0.0).reshape(-1, len(SCORED_STAGES))
        packed = _base64(np.rint(np.clip(shares, 0, 1) * PROBABILITY_ONE).astype("<u2"))
    return {
        "id": named.id,
        "label": named.label,
        "note": SIMULATED_WORDS if named.simulated else named.note,
        "warning": simulated_warning(named.label, simulated_recording=simulated_recording) if named.simulated else "",
        "stages": stages.tolist(),
        "probabilities": packed,
    }


def _events(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "start": event.start_s,
            "stop": event.stop_s,
            "name": printable(event.name),
            "channel": printable(event.channel),
            "source": printable(event.source),
            "extra": event.extra,
        }
        for number, event in enumerate(sorted(events, key=lambda event: (event.start_s, event.stop_s)), 1)
    ]


def _quality(report: QualityReport, recording: Recording, epochs: int) -> dict[str, Any]:
    """Return the findings of the channels that feed a model: one byte an epoch, and what its bits are called."""
    by_index = {channel.index: channel for channel in recording.channels}
    found = []
    for index, judged, suspicion in zip(report.channels, report.judged, report.suspicions, strict=True):
        channel, flags = by_index.get(index), report.of(index)[:epochs]
        if not judged or channel is None or channel.modality is None or not (flags.any() or suspicion):
            continue
        found.append(
            {
                "label": printable(channel.label),
                "modality": channel.modality.value,
                "suspicion": printable(suspicion),
                "flags": _base64(flags.astype(np.uint8)),
            }
        )
    return {
        "epochs": epochs,
        "flags": [{"bit": int(flag), "word": word} for flag, word in FLAG_WORDS.items()],
        "bad": int(UNUSABLE),
        "gap": int(QualityFlag.GAP),
        "channels": found,
    }


def pack_spectrogram(source: StudySource, study_id: str, trace: str) -> bytes:
    """Pack a stored spectrogram for the browser: header length (uint32), JSON header, one byte an epoch and frequency.

    Code 0 is "no signal"; 1 to 255 run from `low_db` to `high_db`.

    Raises
    ------
    RequestError
        When none is stored for the channel.
    """
    file = source.spectrograms(study_id).get(trace)
    if file is None:
        raise RequestError(f"no spectrogram of trace {trace[:40]!r} is stored; add the study again to make it")
    stored = read_spectrogram(file)
    power = stored.power_db
    present = power[np.isfinite(power)]
    low, high = np.percentile(present, SPECTRUM_PERCENTILES) if present.size else (0.0, 1.0)
    span = max(float(high - low), 1e-3)
    code = np.rint(1 + 254 * np.clip((power - low) / span, 0, 1))
    image = np.where(np.isfinite(power), code, 0).astype(np.uint8)
    header = json.dumps(
        {
            "epochs": int(power.shape[0]),
            "frequencies": [round(float(one), 4) for one in stored.frequencies_hz],
            "low_db": float(low),
            "high_db": float(low) + span,
            "unit": source.recording(study_id).channel(int(trace.partition("-")[0])).unit or "unit",
        }
    ).encode()
    return struct.pack("<I", len(header)) + header + image.tobytes()


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
