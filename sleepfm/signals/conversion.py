"""One recording to one signals file: read, recipe and write, side by side on a few threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from sleepfm.errors import Cancelled, MissingChannelsError, RecordingError, RequestError
from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import apply_corrections
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.identity import identity_of
from sleepfm.recording.opening import open_recording
from sleepfm.recording.recording import Channel, Recording
from sleepfm.signals.dataset_names import unique_names
from sleepfm.signals.recipes import RECIPES, Piece, UnusableChannelError, standardise
from sleepfm.signals.store_writing import LAYOUTS, Layout, SignalsHeader, SignalToStore, create_signals
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import Kind, Modality

_MOST_THREADS = 4
"""Each thread holds one channel's night; more of them would only wait for memory."""


@dataclass(frozen=True)
class ConvertRecord:
    """What one conversion made.

    Attributes
    ----------
    id, file, out
        The study's id, the recording, and the signals file.
    channels
        What was stored, in file order: `name` (of the dataset), `label`, `modality`, `flat`.
    left_out
        What was not stored, in file order: `label`, `reason`.
    seconds
        Wall time, without process start.
    problems
        What is wrong with the header of the file and of the stored channels, as `sleepfm inspect` lists it.
    naming
        What of the signals file holds a name, code or birthdate of the recording's header: "id" (the file's name too) or
        "labels". They are written all the same, for others read the file by them.
    reused
        The signals file was there already, made from the same bytes by the same recipe; what it does not hold (`left_out`,
        `problems`) is empty then.
    """

    id: str
    file: str
    out: str
    recipe: str
    layout: str
    duration_s: float
    channels: list[dict[str, Any]]
    left_out: list[dict[str, str]]
    gaps: list[tuple[float, float]]
    problems: list[str]
    source_sha256: str
    seconds: float
    naming: tuple[str, ...] = ()
    reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the record as `convert --json` prints it."""
        return asdict(self)


def convert_file(
    path: Path,
    out: Path,
    *,
    record_id: str,
    recipe: str = "published",
    layout: Layout = "grouped",
    corrections: Mapping[int, Kind | None] | None = None,
    progress: Progress = silent,
    threads: int | None = None,
) -> ConvertRecord:
    """Convert one recording into the signals file `out`, which appears whole or not at all.

    For worker processes: the recording is mapped into memory (see `sleepfm.recording.opening.open_recording`).

    Parameters
    ----------
    path, out
        The EDF or BDF file or WFDB header, and the HDF5 file to write or replace.
    record_id
        The study's id.
    recipe, layout
        See `sleepfm.signals.recipes.RECIPES` and `sleepfm.signals.store_writing.LAYOUTS`.
    corrections
        What users corrected: channel index to kind (None: of no use).
    threads
        Channels worked on at a time (default: one per core, at most 4).

    Raises
    ------
    RequestError
        Unknown recipe or layout, or no such file.
    RecordingError
        The recording cannot be read, changes while it is read, or has no channel that the model uses.
    SleepFMError
        The result cannot be written.
    """
    started = time.perf_counter()
    check_options(recipe, layout)
    with open_recording(path, mapped=True) as opened, _fingerprinting(path) as digest:
        recording: Recording = apply_corrections(opened, corrections) if corrections else opened
        used = {channel.index for channel in recording.channels if channel.modality}
        if not recording.channels:
            raise RecordingError(f"{path}: holds annotations but no signals: it is a scoring, not a recording.")
        if not used:
            raise MissingChannelsError(
                f"{path}: none of its {len(recording.channels)} channels belongs to a modality of the model"
                f" ({', '.join(Modality)}); see `sleepfm inspect` and correct the channels' kinds."
            )
        names = dict(zip(sorted(used), unique_names(c.label for c in recording.channels if c.index in used), strict=True))
        header = SignalsHeader(
            record_id, layout, recipe, recording.duration_s, recording.start, recording.gaps, recording.simulated
        )
        channels: list[dict[str, Any]] = []
        left_out = {c.index: f"the model does not use it: {c.reason}" for c in recording.channels if c.index not in used}
        with create_signals(out, header) as writer:
            for done, (channel, result) in enumerate(_convert_channels(recording, used, names, recipe, threads), start=1):
                if isinstance(result, SignalToStore):
                    writer.add(result)
                    channels.append(
                        {"name": result.name, "label": result.label, "modality": str(result.modality), "flat": result.flat}
                    )
                else:
                    left_out[channel.index] = str(result)
                progress(0.95 * done / len(used), f"{path.name}: {done} of {len(used)} channels")
            if not channels:
                reasons = "; ".join(sorted({left_out[index] for index in used}))
                raise RecordingError(f"{path}: none of its channels can be used: {reasons}.")
            sha256 = digest.result()
            writer.set_source(sha256)
            progress(1.0, f"{path.name}: {len(channels)} channels stored")
        return ConvertRecord(
            id=record_id,
            file=str(path),
            out=str(out),
            recipe=recipe,
            layout=layout,
            duration_s=recording.duration_s,
            channels=channels,
            left_out=[{"label": c.label, "reason": left_out[c.index]} for c in recording.channels if c.index in left_out],
            gaps=list(recording.gaps),
            problems=[
                *recording.problems,
                *(f"{c.label}: {problem}" for c in recording.channels if c.index in used for problem in c.problems),
            ],
            source_sha256=sha256,
            seconds=time.perf_counter() - started,
            naming=naming(path, record_id, [text for one in channels for text in (one["label"], one["name"])]),
        )


def naming(path: Path, record_id: str, labels: Iterable[str]) -> tuple[str, ...]:
    """Return what of a signals file names the person, or a date of the person; the night's own date stands in it by design."""
    identity = identity_of(path, with_the_night=False)
    # in an id each letter outside of a-z is "_": then the file's name tells what it was
    spelt = path.stem if record_id.startswith(study_id(path)) else ""
    found = {
        "id": identity.names_in(record_id) or identity.names_in(spelt),
        "labels": any(identity.traces_in(label) for label in labels),
    }
    return tuple(what for what, names in found.items() if names)


def check_options(recipe: str, layout: str) -> None:
    """Raise RequestError for a recipe or layout that is not known."""
    if recipe not in RECIPES:
        raise RequestError(f"unknown recipe {recipe!r}: use one of {', '.join(sorted(RECIPES))}")
    if layout not in LAYOUTS:
        raise RequestError(f"unknown layout {layout!r}: use one of {', '.join(LAYOUTS)}")


@contextmanager
def _fingerprinting(path: Path) -> Iterator[Future[str]]:
    """Hash the file beside the work; leaving early stops it."""
    stop = threading.Event()

    def watch(fraction: float, message: str) -> None:  # noqa: ARG001 - only whether to go on matters here
        if stop.is_set():
            raise Cancelled(f"{path}: hashing was stopped")

    with ThreadPoolExecutor(1, thread_name_prefix="fingerprint") as pool:
        try:
            yield pool.submit(fingerprint, path, watch)
        finally:
            stop.set()


def _convert_channels(
    recording: Recording, used: Iterable[int], names: Mapping[int, str], recipe: str, threads: int | None
) -> Iterator[tuple[Channel, SignalToStore | UnusableChannelError]]:
    """Yield the used channels in file order, a few computed at a time; a channel that cannot be used comes as its error."""
    workers = threads or min(os.cpu_count() or 1, _MOST_THREADS)
    # One thread a channel: BLAS threads of its own would only fight with ours over the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers, thread_name_prefix="convert") as pool:
        waiting: deque[tuple[Channel, Future[SignalToStore | UnusableChannelError]]] = deque()
        for index in sorted(used):
            channel = recording.channel(index)
            waiting.append((channel, pool.submit(_convert_channel, recording, channel, names[index], recipe)))
            if len(waiting) > workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for channel, future in waiting:
            yield channel, future.result()


def _convert_channel(recording: Recording, channel: Channel, name: str, recipe: str) -> SignalToStore | UnusableChannelError:
    if channel.modality is None:
        raise ValueError(f"channel {channel.index} has no modality")
    pieces = [Piece(start_s, recording.digital(channel.index, n)) for n, (start_s, _) in enumerate(recording.segments())]
    try:
        result = standardise(recipe, pieces, channel.rate_hz, recording.duration_s, gain=channel.gain, offset=channel.offset)
    except UnusableChannelError as error:
        return error
    return SignalToStore(
        name=name,
        index=channel.index,
        label=channel.label,
        modality=channel.modality,
        kind=channel.kind,
        rate_hz=channel.rate_hz,
        unit=channel.unit,
        mean=result.mean,
        std=result.std,
        flat=result.flat,
        z=result.z.astype(np.float16),
    )
