"""Recordings (EDF, BDF, WFDB) to signals files: one, or a folder full of them, each in a worker process of its own.

convert(path, out_dir)          one recording, in this process (which should be a worker: the file is mapped)
convert_many(inputs, out_dir)   files and folders, in worker processes; a bad file, or a worker's death, stops no other
convert_planned(plan, out_dir)  recordings whose ids are settled, as parts of a cohort: what is done already is not done again
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import h5py

from sleepfm.errors import Cancelled, RecordingError, RequestError, SleepFMError
from sleepfm.progress import Progress, silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.opening import RECORDING_SUFFIXES
from sleepfm.signals.conversion import ConvertRecord, check_options, convert_file, naming
from sleepfm.signals.store import open_signals
from sleepfm.signals.store_writing import Layout, make_folder
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import Kind

SIGNAL_SUFFIXES = (".hdf5", ".h5")
STUDY_SUFFIXES = (*RECORDING_SUFFIXES, *SIGNAL_SUFFIXES)
"""What folders are searched for where a signals file is as good as the recording that it was made of."""
_POLL_S = 0.05


def convert(
    path: Path,
    out_dir: Path,
    *,
    recipe: str = "published",
    layout: Layout = "grouped",
    record_id: str | None = None,
    corrections: Mapping[int, Kind | None] | None = None,
    progress: Progress = silent,
) -> ConvertRecord:
    """Convert one recording to `out_dir`/<id>.hdf5; arguments and errors as in `conversion.convert_file`.

    Without `record_id` the id follows from the file's name. A file that is there already is replaced when it was made from the
    same bytes; otherwise the id gets -2, so that two nights of one name never overwrite each other.
    """
    identifier = record_id or _free_id(path, out_dir, set())
    out = out_dir / f"{identifier}.hdf5"
    return convert_file(path, out, record_id=identifier, recipe=recipe, layout=layout, corrections=corrections, progress=progress)


def convert_many(
    inputs: Sequence[Path],
    out_dir: Path,
    *,
    jobs: int = 1,
    recipe: str = "published",
    layout: Layout = "grouped",
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Convert files and folders (with all below them), `jobs` at a time, each in a worker process.

    Returns
    -------
    dict
        `records`: `ConvertRecord.as_dict` of each; `failed`: `file` and `error` of each that could not be converted. Both in
        the order of the inputs.

    Raises
    ------
    RequestError
        An input is missing, a folder holds no recording, `out_dir` cannot be made, or the recipe or layout is not known;
        nothing was converted.
    Cancelled
        `progress` raised it (or anything else): the workers stop, nothing half-written is left.
    """
    check_options(recipe, layout)
    files = find_recordings(inputs)
    make_folder(out_dir)
    done: dict[int, ConvertRecord | str] = {}
    tasks: dict[int, _Task] = {}
    taken: set[str] = set()
    for number, file in enumerate(files):
        try:
            identifier = _free_id(file, out_dir, taken)
        except SleepFMError as error:
            done[number] = str(error)
            continue
        taken.add(identifier)
        tasks[number] = _Task(number, file, out_dir / f"{identifier}.hdf5", identifier, recipe, layout)
    return _convert_all(files, tasks, done, jobs, progress)


def convert_planned(
    plan: Sequence[tuple[Path, str]],
    out_dir: Path,
    *,
    jobs: int = 1,
    recipe: str = "published",
    layout: Layout = "grouped",
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Convert recordings to ids that were settled before (different ones), so that parts of a cohort may be converted anywhere.

    A signals file that is there already, made from the same bytes by the same recipe, is left alone and its record says `reused`;
    one made from another recording is not touched, and the recording counts as failed, as does one that is missing.

    Returns and raises as `convert_many`.
    """
    check_options(recipe, layout)
    make_folder(out_dir)
    tasks = {
        number: _Task(number, file, out_dir / f"{identifier}.hdf5", identifier, recipe, layout, reuse=True)
        for number, (file, identifier) in enumerate(plan)
    }
    return _convert_all([file for file, _ in plan], tasks, {}, jobs, progress)


def _convert_all(
    files: Sequence[Path], tasks: Mapping[int, _Task], done: dict[int, ConvertRecord | str], jobs: int, progress: Progress
) -> dict[str, list[dict[str, Any]]]:
    lost = _run(tasks, max(1, min(jobs, len(tasks))), len(files), done, progress)
    for number in lost:  # one of them killed its worker and with it the pool: each alone, to find out which
        if _run({number: tasks[number]}, 1, len(files), done, progress):
            done[number] = (
                f"{files[number]}: the worker process died while converting it (out of memory, or the file shrank while it was"
                " read); check the file and convert it again."
            )
    outcomes = [(files[number], done[number]) for number in sorted(done)]
    return {
        "records": [outcome.as_dict() for _, outcome in outcomes if isinstance(outcome, ConvertRecord)],
        "failed": [{"file": str(file), "error": outcome} for file, outcome in outcomes if isinstance(outcome, str)],
    }


def find_recordings(inputs: Sequence[Path], suffixes: tuple[str, ...] = RECORDING_SUFFIXES) -> list[Path]:
    """Return the recordings among files and folders, each once; folders are searched for the suffixes, with all below them.

    Raises
    ------
    RequestError
        An input is missing, or a folder holds no recording.
    """
    found: dict[Path, Path] = {}
    for path in inputs:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            if not inside:
                raise RequestError(f"{path}: holds no file that ends in {', '.join(suffixes)}, nor do its folders.")
        elif path.exists():
            inside = [path]
        else:
            raise RequestError(f"{path}: there is no such file or folder; check the path.")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _free_id(path: Path, out_dir: Path, taken: set[str]) -> str:
    """Return the study's id, avoiding those taken and files made from other recordings."""
    refused = set(taken)
    sha256 = ""
    while True:
        identifier = study_id(path, refused)
        there = out_dir / f"{identifier}.hdf5"
        if not there.exists():
            return identifier
        sha256 = sha256 or fingerprint(path)
        if _made_from(there) == sha256:
            return identifier
        refused.add(identifier)


def _made_from(signals: Path) -> str:
    """Return the hash of the recording that a file was made from; "" when it is no signals file of ours."""
    try:
        with h5py.File(signals, "r", locking=False) as file:
            return str(file.attrs.get("source_sha256", ""))
    except OSError:
        return ""


# Worker processes


@dataclass(frozen=True)
class _Task:
    number: int
    path: Path
    out: Path
    record_id: str
    recipe: str
    layout: Layout
    reuse: bool = False


def _run(
    tasks: Mapping[int, _Task], jobs: int, n_files: int, done: dict[int, ConvertRecord | str], progress: Progress
) -> list[int]:
    """Run the tasks in a pool and put what they gave into `done`; return those that were lost because a worker died."""
    if not tasks:
        return []
    context = multiprocessing.get_context("spawn")  # forking a process with threads (BLAS, the web server) can hang
    stop = context.Event()
    fractions = context.Array("d", n_files, lock=False)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    lost: list[int] = []
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_enter_worker, initargs=(stop, fractions)) as pool:
        futures: dict[Future[ConvertRecord], int] = {}
        try:
            for task in tasks.values():
                try:
                    futures[pool.submit(_convert_in_worker, task, threads)] = task.number
                except BrokenProcessPool:
                    lost.append(task.number)
            running = set(futures)
            # A signal's handler may raise anywhere in this loop. `concurrent.futures.wait` takes the locks of all futures and
            # would not give all of them back: the pool could then never be shut down.
            finished: deque[Future[ConvertRecord]] = deque()
            for future in futures:
                future.add_done_callback(finished.append)
            while running:
                time.sleep(_POLL_S)
                while finished:
                    future = finished.popleft()
                    running.discard(future)
                    number = futures[future]
                    try:
                        done[number] = future.result()
                    except BrokenProcessPool:
                        lost.append(number)
                    except Cancelled:
                        raise
                    except SleepFMError as error:
                        done[number] = str(error)
                    except Exception as error:  # a defect of ours must not cost the other nights of the batch
                        done[number] = f"{tasks[number].path}: a defect of the software: {type(error).__name__}: {error}"
                under_way = sum(fractions[futures[future]] for future in running)
                progress((len(done) + under_way) / n_files, f"{len(done)} of {n_files} recordings converted")
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return sorted(lost)


class _Worker:
    """What a worker process knows of its parent."""

    stop: Event
    fractions: Any
    busy = threading.Lock()
    terminated = False


def _enter_worker(stop: Event, fractions: Any) -> None:
    """Prepare a worker: Ctrl-C is the parent's to answer; one that is terminated, or whose parent is gone, tidies up first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_terminate)
    _Worker.stop, _Worker.fractions = stop, fractions
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _on_terminate(_signal: int, _frame: object) -> None:
    _Worker.terminated = True
    if not _Worker.busy.locked():
        os._exit(1)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _Worker.stop.set()
        with _Worker.busy:
            os._exit(1)


def _convert_in_worker(task: _Task, threads: int) -> ConvertRecord:
    def report(fraction: float, message: str) -> None:  # noqa: ARG001 - one line for the whole batch is the parent's
        _Worker.fractions[task.number] = fraction
        if _Worker.stop.is_set() or _Worker.terminated:
            raise Cancelled(f"{task.path}: the conversion was cancelled")

    try:
        with _Worker.busy:
            if task.reuse and (before := _converted_before(task, report)) is not None:
                return before
            return convert_file(
                task.path,
                task.out,
                record_id=task.record_id,
                recipe=task.recipe,
                layout=task.layout,
                progress=report,
                threads=threads,
            )
    finally:
        if _Worker.terminated:
            os._exit(1)


def _converted_before(task: _Task, progress: Progress) -> ConvertRecord | None:
    """Return the record of a signals file that is as it would be made now; None when it is to be made.

    Raises
    ------
    RecordingError
        When the file that is there was made from another recording.
    """
    if not task.out.exists():
        return None
    started = time.perf_counter()
    sha256 = fingerprint(task.path, progress)
    if _made_from(task.out) != sha256:
        raise RecordingError(
            f"{task.path}: {task.out} is there already and was made from another recording, or is damaged; move it away, or"
            " choose another --out."
        )
    try:
        with open_signals(task.out) as signals:
            if (signals.recipe, signals.layout, signals.record_id) != (task.recipe, task.layout, task.record_id):
                return None
            return ConvertRecord(
                id=task.record_id,
                file=str(task.path),
                out=str(task.out),
                recipe=task.recipe,
                layout=task.layout,
                duration_s=signals.duration_s,
                channels=[
                    {"name": c.name, "label": c.label, "modality": str(c.modality), "flat": c.flat} for c in signals.channels
                ],
                left_out=[],
                gaps=list(signals.gaps),
                problems=[],
                source_sha256=sha256,
                seconds=time.perf_counter() - started,
                naming=naming(task.path, task.record_id, (text for one in signals.channels for text in (one.label, one.name))),
                reused=True,
            )
    except RecordingError:
        return None  # what this very recording was made into cannot be used any more: it is made anew
