"""Many recordings at once: each in a process of its own, several at a time; what is done stays done.

A recording is done anew when its file, an option, a model or the software changed, or when it failed. The state is written after
each, so a batch that was stopped or killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import sleepfm
from sleepfm.administration.readable_folders import require_readable, require_readable_here
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.inference.steps import STEPS
from sleepfm.library.batch_state import STATE_FILE, BatchState, Done, Outcome, read_state, write_state
from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, silent
from sleepfm.recording.opening import recording_files
from sleepfm.recording.scorings.tables import read_lines
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane
from sleepfm.signals.convert import STUDY_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_id

WORKER = "sleepfm.cli.batch_worker"
DEFAULT_STEPS = ("stage", "events", "statistics", "report")
_POLL_S = 0.1
_PATIENCE_S = 10.0
_LAST_WORDS = 400


@dataclass(frozen=True)
class BatchResult:
    """How a batch ended: its state, and how many of it were there before."""

    out: Path
    state: BatchState
    reused: int

    def as_dict(self) -> dict[str, Any]:
        """Return what `sleepfm batch --json` prints."""
        outcomes = [one.outcome for one in self.state.done.values()]
        return {
            "out": str(self.out),
            "recordings": [
                {"file": one.file, "id": one.id, "outcome": one.outcome, "steps": one.seconds, "skipped": one.skipped}
                for one in self.state.done.values()
            ],
            "failed": self.state.failures,
            "counts": {outcome.value: outcomes.count(outcome) for outcome in Outcome},
            "reused": self.reused,
        }


def run_over(
    inputs: Path,
    out: Path,
    *,
    home: Home,
    steps: Sequence[str] = DEFAULT_STEPS,
    jobs: int = 1,
    resume: bool = False,
    check: Callable[[Path], Path] = Path,
    progress: Progress = silent,
) -> BatchResult:
    """Run the steps over the recordings of a folder or a list.

    Results of each go to `out`/<id>/ as `sleepfm run` writes them; beside them lie `batch.json` and `failures.csv`.

    Parameters
    ----------
    inputs
        A folder, searched with all below it; a text file with a path a line, relative ones from where it lies; or one recording.
    steps
        Of `sleepfm.inference.steps.STEPS`.
    jobs
        How many at a time.
    resume
        Go on with the batch whose state is in `out`; without it such a folder is refused.
    check
        Returns where to open a path, or raises SleepFMError: called on each just before it is opened.

    Raises
    ------
    RequestError
        No such folder or list, nothing in it, an unknown step, or an earlier batch in `out`.
    Cancelled
        By `progress`; the processes are ended, what is done stays.
    """
    if unknown := sorted(set(steps) - set(STEPS)):
        raise RequestError(f"there is no step {', '.join(unknown)}; choose from {', '.join(STEPS)}")
    if not steps:
        raise RequestError(f"choose a step: {', '.join(STEPS)}")
    before = read_state(out)
    if before is not None and not resume:
        raise RequestError(f"{out}: holds a batch already ({STATE_FILE}); go on with it by --resume, or choose another folder")
    files = listed(inputs, check)
    options = {"steps": [step for step in STEPS if step in steps], "software": sleepfm.__version__}
    return _Batch(out, home, options=options, check=check, before=before or BatchState()).run(files, jobs, progress)


def listed(inputs: Path, check: Callable[[Path], Path] = Path) -> list[Path]:
    """Return the recordings of a folder or a list, each once; one of a list that is not there is still in it.

    A folder of a list that `check` refuses stands in it as it was named: nothing is looked at there.

    Raises
    ------
    RequestError
        There is no such folder or file, or it names nothing.
    """
    if inputs.is_dir():
        return [file.absolute() for file in find_recordings([inputs])]
    if not inputs.is_file():
        raise RequestError(f"{inputs}: there is no such folder, list or recording; check the path")
    if inputs.suffix.lower() in STUDY_SUFFIXES:
        return [inputs.absolute()]
    lines = [line.strip().strip('"') for line in read_lines(inputs).splitlines()]
    named = [Path(line) for line in lines if line and not line.startswith("#")]
    if not named:
        raise RequestError(f"{inputs}: names no recording; write one path a line")
    files: dict[Path, None] = {}
    for path in named:
        whole = (inputs.parent / _expanded(path)).absolute()
        try:
            inside = [file.absolute() for file in find_recordings([whole])] if check(whole).is_dir() else [whole]
        except RequestError:  # or a folder without recordings: it is said when its turn comes
            inside = [whole]
        files |= dict.fromkeys(inside)
    return list(files)


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # "~name" of somebody whom this machine does not know is a name like any other
        return path


@dataclass
class _Running:
    """A recording that a process works on."""

    file: Path
    size: int
    mtime_ns: int
    process: subprocess.Popen[str]
    last_words: IO[str]
    """What it wrote on standard error: a file, for a pipe that nobody empties would stop it."""
    fraction: float = 0.0
    message: str = ""
    answer: dict[str, Any] | None = None


class _Batch:
    """One pass over the files; see `run_over`."""

    def __init__(
        self, out: Path, home: Home, *, options: dict[str, Any], check: Callable[[Path], Path], before: BatchState
    ) -> None:
        models = sorted(entry.card.weights_sha256 for entry in Shelf(home.models).entries())
        made_with = json.dumps({**options, "models": models}, sort_keys=True)
        self._made_with = hashlib.sha256(made_with.encode()).hexdigest()
        self._out, self._home, self._options, self._check = out.absolute(), home, options, check
        self._before = before.done
        self._state = BatchState(options)
        self._news: queue.Queue[tuple[_Running, dict[str, Any] | None]] = queue.Queue()

    def run(self, files: Sequence[Path], jobs: int, progress: Progress) -> BatchResult:
        sizes = {file: self._size(file) for file in files}
        waiting: deque[Path] = deque()
        # the order of the files is the order of the tables, whichever ends first
        for file in files:
            old = self._before.get(str(file))
            if old is not None:
                self._state.done[str(file)] = old
            if old is None or not self._still_good(file, old):
                waiting.append(file)
        reused = len(files) - len(waiting)
        write_state(self._out, self._in_order(files))
        total = sum(sizes.values()) or 1
        finished = total - sum(sizes[file] for file in waiting)
        running: list[_Running] = []
        started, ended = time.monotonic(), reused
        try:
            while waiting or running:
                # two of one id would take the same folder
                ids = {_id(one.file) for one in running}
                while len(running) < max(1, jobs) and (following := next((f for f in waiting if _id(f) not in ids), None)):
                    waiting.remove(following)
                    ids.add(_id(following))
                    begun = self._begin(following, jobs)
                    if isinstance(begun, _Running):
                        running.append(begun)
                        continue
                    self._keep(begun, files)
                    finished, ended = finished + sizes[following], ended + 1
                under_way = sum(one.fraction * sizes[one.file] for one in running)
                doing = "; ".join(f"{one.file.name}: {one.message or 'starting'}" for one in running)
                progress(min(1.0, (finished + under_way) / total), f"{ended} of {len(files)} done. {doing}")
                for one in self._ended(running):
                    running.remove(one)
                    self._keep(self._outcome(one), files)
                    finished, ended = finished + sizes[one.file], ended + 1
        except BaseException:
            _end_all(running)
            raise
        progress(1.0, f"{len(files)} recordings in {time.monotonic() - started:.0f} s")
        return BatchResult(self._out, self._in_order(files), reused)

    def _size(self, file: Path) -> int:
        try:
            return max(1, sum(one.stat().st_size for one in recording_files(self._check(file))))
        except (OSError, SleepFMError):
            return 1

    def _still_good(self, file: Path, old: Done) -> bool:
        if old.outcome is not Outcome.DONE or old.made_with != self._made_with:
            return False
        try:
            stat = file.stat()
        except OSError:
            return False
        there = all((self._out / name).is_file() for name in old.files)
        return there and (stat.st_size, stat.st_mtime_ns) == (old.size, old.mtime_ns)

    def _begin(self, file: Path, jobs: int) -> _Running | Done:
        """Start the process of a recording; one that cannot even be opened is done with."""
        try:
            real = self._check(file)
            stat = file.stat()
            self._forget(file)
        except SleepFMError as error:
            return self._failed(file, str(error))
        except OSError as error:
            return self._failed(file, f"{file}: cannot be opened ({error.strerror}); check the path")
        threads = str(max(1, (os.cpu_count() or 1) // max(1, jobs)))
        last_words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed when it has ended
        process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=last_words,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": threads, "SLEEPFM_HOME": str(self._home.root), "PYTHONIOENCODING": "utf-8"},
        )
        one = _Running(file, stat.st_size, stat.st_mtime_ns, process, last_words)
        assert process.stdin is not None
        # its standard input stays open: when it closes, this process is gone, and the other ends too
        process.stdin.write(json.dumps({"file": str(real), "out": str(self._out), "steps": self._options["steps"]}) + "\n")
        process.stdin.flush()
        threading.Thread(target=self._listen, args=(one,), daemon=True).start()
        return one

    def _forget(self, file: Path) -> None:
        """Take the mark off the result of this path's older content, so that the new one gets its folder."""
        old = self._before.get(str(file))
        if old is None or not old.id:
            return
        provenance = self._out / old.id / "provenance.json"
        try:
            if json.loads(provenance.read_text("utf-8")).get("sha256") == old.sha256:
                provenance.unlink()
        except (OSError, ValueError, AttributeError):
            return  # gone, or not ours: left alone

    def _listen(self, one: _Running) -> None:
        assert one.process.stdout is not None
        with one.process.stdout as lines:
            for line in lines:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # a library's own words on standard output
                if isinstance(said, dict):
                    self._news.put((one, said))
        self._news.put((one, None))

    def _ended(self, running: Sequence[_Running]) -> list[_Running]:
        """Take in what the processes said, and return those that have ended."""
        ended = []
        try:
            one, said = self._news.get(timeout=_POLL_S)
            while True:
                if said is None:
                    ended.append(one)
                elif "progress" in said:
                    one.fraction, one.message = float(said["progress"]), str(said["message"])
                else:
                    one.answer = said
                one, said = self._news.get_nowait()
        except queue.Empty:
            return [one for one in ended if one in running]

    def _outcome(self, one: _Running) -> Done:
        code = one.process.wait()
        one.last_words.seek(0)
        last_words = " ".join(one.last_words.read()[-_LAST_WORDS:].split())
        _close(one)
        answer = one.answer or {}
        if "result" not in answer:
            why = answer.get("error") or f"{one.file}: its process died (code {code}; out of memory?) {last_words}".rstrip()
            return replace(self._failed(one.file, str(why)), size=one.size, mtime_ns=one.mtime_ns)
        record = answer["result"]
        nothing = not record["steps"] and not record["failed"]
        failed = {"": "nothing came out; every step was skipped"} if nothing else dict(record["failed"])
        outcome = Outcome.FAILED if not record["steps"] else Outcome.PARTLY if failed else Outcome.DONE
        return Done(
            file=str(one.file),
            size=one.size,
            mtime_ns=one.mtime_ns,
            made_with=self._made_with,
            outcome=outcome,
            id=record["id"],
            sha256=str(answer.get("sha256", "")),
            seconds=record["steps"],
            skipped={step: why for step, why in record["skipped"].items() if step in self._options["steps"]},
            failed=failed,
            files=tuple(Path(name).relative_to(self._out).as_posix() for name in record["files"]),
        )

    def _failed(self, file: Path, why: str) -> Done:
        return Done(str(file), 0, 0, self._made_with, Outcome.FAILED, failed={"": why})

    def _keep(self, done: Done, files: Sequence[Path]) -> None:
        self._state.done[done.file] = done
        write_state(self._out, self._in_order(files))

    def _in_order(self, files: Sequence[Path]) -> BatchState:
        known = self._state.done
        return BatchState(self._options, {str(file): known[str(file)] for file in files if str(file) in known})


def _id(file: Path) -> str:
    """Return the id that a recording's folder begins with, where capitals make no difference on every disk."""
    return study_id(file).casefold()


def _end_all(running: Sequence[_Running]) -> None:
    """End the processes: asked first, so that they tidy up, then killed."""
    for one in running:
        one.process.terminate()
    deadline = time.monotonic() + _PATIENCE_S
    for one in running:
        try:
            one.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
        _close(one)


def _close(one: _Running) -> None:
    for stream in (one.process.stdin, one.last_words):
        if stream is not None:
            stream.close()


# as a job


def submit_batch(
    library: Library, inputs: Path, *, steps: Sequence[str], jobs: int, submitted_by: str = "", again: Job | None = None
) -> Job:
    """Queue a batch over a folder or a list and see that it is worked off; results go to the job's own folder.

    Parameters
    ----------
    again
        A batch that has ended, whose results count: only what failed or changed is done.

    Raises
    ------
    RequestError
        When the path is outside the folders that the app may read, or names nothing.
    """
    files = listed(require_readable(library.home, inputs), partial(require_readable, library.home))
    count = f"{len(files)} recording{'s' if len(files) != 1 else ''}"
    job = library.jobs.add(
        "batch",
        lane=Lane.HEAVY,
        title=f"{count} in {inputs.name or inputs}",
        parameters={"inputs": str(inputs.absolute()), "steps": list(steps), "jobs": jobs}
        | ({} if again is None else {"folder": _folder_of(again.id, again.parameters)}),
        submitted_by=submitted_by,
    )
    ensure_running(library.home)
    return job


def batch_folder(home: Home, job: Job) -> Path:
    """Return where the results of a batch are."""
    return home.runs / _folder_of(job.id, job.parameters) / "results"


def _folder_of(identifier: str, parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("folder", identifier))


def run_batch(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do a batch as a job; queued again, it goes on where it was."""
    inputs = Path(parameters["inputs"])

    def readable(file: Path) -> Path:
        real = require_readable_here(home, file)
        opened = real if real.name == file.name else file
        for beside in recording_files(opened)[1:]:  # a record may be in several files, each of them perhaps a link
            require_readable_here(home, beside)
        return opened

    require_readable_here(home, inputs)
    found = run_over(
        inputs,
        home.runs / _folder_of(parameters["job"], parameters) / "results",
        home=home,
        steps=parameters["steps"],
        jobs=parameters["jobs"],
        resume=True,
        check=readable,
        progress=progress,
    )
    said = found.as_dict()
    return {"out": str(found.out), "counts": said["counts"], "reused": found.reused}
