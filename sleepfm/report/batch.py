"""Reports of many studies and recordings, several at a time: what the command line asks for."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepfm.administration.readable_folders import whole_machine
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.progress import Progress, part, silent
from sleepfm.report.gather import study_report
from sleepfm.report.gather_file import file_report
from sleepfm.report.making import Wish, write_report
from sleepfm.report.report_data import ReportData
from sleepfm.signals.study_ids import study_id


@dataclass(frozen=True)
class _Task:
    """One report to make: of a file, or of a study of the library."""

    source: str
    identifier: str
    out: Path
    wish: Wish
    home: Home
    file: Path | None
    scoring: Path | None
    events: Path | None


def make_reports(
    sources: Sequence[str],
    out: Path,
    *,
    home: Home,
    wish: Wish,
    scoring: Path | None = None,
    events: Path | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Make a report of each source into a folder, going on after one that fails.

    Parameters
    ----------
    sources
        Paths of recordings, and ids of studies of the library; what is both is taken for a path.
    out
        Folder of the reports, `<id>.html` and `<id>.pdf`; results that `sleepfm run` put below it are used.
    scoring, events
        Of the one recording, in any known format.
    jobs
        How many at a time, each in a process of its own.

    Returns
    -------
    dict
        `records`: `id` and `files` of each; `failed`: `source` and `error`. Both in the order of the sources.

    Raises
    ------
    RequestError
        When nothing can be begun: no such source, or a scoring for several.
    """
    if (scoring is not None or events is not None) and (len(sources) != 1 or not Path(sources[0]).is_file()):
        raise RequestError("--scoring and --events go with one recording; several are reported with what lies beside them")
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is a file; --out names a folder")
    tasks = _tasks(sources, out, home=home, wish=wish, scoring=scoring, events=events)
    done: dict[int, dict[str, Any]] = {}
    if jobs == 1 or len(tasks) == 1:
        for number, task in enumerate(tasks):
            done[number] = _made(task, part(progress, number / len(tasks), (number + 1) / len(tasks)))
    else:
        done = _in_processes(tasks, min(jobs, len(tasks)), progress)
    outcomes = [done[number] for number in range(len(tasks))]
    return {
        "records": [one for one in outcomes if "error" not in one],
        "failed": [one for one in outcomes if "error" in one],
    }


def _tasks(
    sources: Sequence[str], out: Path, *, home: Home, wish: Wish, scoring: Path | None, events: Path | None
) -> list[_Task]:
    tasks, taken = [], set[str]()
    with Library(home) as library:
        for source in dict.fromkeys(sources):
            file = Path(source) if Path(source).exists() else None
            if file is not None and file.is_dir():
                raise RequestError(f"{file}: is a folder; name the recordings in it")
            if file is None:
                try:
                    library.study(source)
                except RequestError:
                    raise RequestError(f"{source}: is neither a file nor the id of a study in the library") from None
            identifier = source if file is None else study_id(file, taken)
            taken.add(identifier)
            tasks.append(_Task(source, identifier, out, wish, home, file, scoring, events))
    return tasks


def _in_processes(tasks: Sequence[_Task], jobs: int, progress: Progress) -> dict[int, dict[str, Any]]:
    done: dict[int, dict[str, Any]] = {}
    context = multiprocessing.get_context("spawn")  # forking a process with threads (BLAS) can hang
    with ProcessPoolExecutor(jobs, context) as pool:
        futures: dict[Future[dict[str, Any]], int] = {pool.submit(_made_apart, task): number for number, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                number = futures[future]
                try:
                    done[number] = future.result()
                except BrokenProcessPool:
                    error = f"{tasks[number].source}: the process died while it was reported (out of memory?); try it alone"
                    done[number] = {"source": tasks[number].source, "error": error}
                progress(len(done) / len(tasks), f"report of {tasks[number].source}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _made_apart(task: _Task) -> dict[str, Any]:
    """Do the same in a process of its own, which has to be told that whoever typed the command owns the machine's files."""
    with whole_machine():
        return _made(task)


def _made(task: _Task, progress: Progress = silent) -> dict[str, Any]:
    """Make one report, or return what went wrong."""
    try:
        data = _gathered(task, part(progress, 0.0, 0.7))
        progress(0.7, f"writing the report of {task.identifier}")
        files = write_report(data, task.out / data.facts.study, task.wish)
    except SleepFMError as error:
        return {"source": task.source, "error": str(error)}
    progress(1.0, f"writing the report of {task.identifier}")
    return {"id": data.facts.study, "files": [str(file) for file in files]}


def _gathered(task: _Task, progress: Progress) -> ReportData:
    if task.file is not None:
        return file_report(
            task.file,
            identifier=task.identifier,
            results_in=task.out,
            scoring=task.scoring,
            events=task.events,
            telling=task.wish.telling,
            progress=progress,
        )
    with Library(task.home) as library:
        return study_report(library, task.identifier, telling=task.wish.telling)
