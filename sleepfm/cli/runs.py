"""Commands on background jobs: runs list, show, logs, stop, kill, resume, note, archive."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from sleepfm.cli.audit import write_down
from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group, positive_int
from sleepfm.home import Home, open_home
from sleepfm.library.training_runs import resume
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.run_curves import Curves
from sleepfm.runs.run_files import log_file, log_tail, run_folder, run_state
from sleepfm.runs.submitter import account_name
from sleepfm.runs.table import Job, JobState, JobTable
from sleepfm.runs.unqueued import UnqueuedRun, unqueued_runs
from sleepfm.text import printable

_EXAMPLE_ID = "20261120-101500-a1b2c3"
_NOT_FIGURES = ("train/seconds",)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "runs", does="background jobs: list, show, logs, stop, kill, resume, note, archive")

    does = "list the newest runs, and training that was started on the command line"
    listing = command(actions, "list", _list, does=does, example="sleepfm runs list --state running")
    add_home(listing)
    listing.add_argument("--state", action="append", choices=[state.value for state in JobState], help="only these (repeatable)")
    listing.add_argument("--kind", action="append", metavar="KIND", help="only these, for example pretrain (repeatable)")
    listing.add_argument("--archived", action="store_true", help="those that were put away")
    listing.add_argument("--limit", type=positive_int, default=200, metavar="N", help="at most so many (default: 200)")

    parsers = {}
    for name, run, does in (
        ("show", _show, "show one run, with its last figures"),
        ("logs", _logs, "print what a run said"),
        ("stop", _stop, "stop a run: training writes a checkpoint first"),
        ("kill", _kill, "end a run at once, without a checkpoint"),
        ("resume", _resume, "go on with a run that failed, was stopped or crashed"),
        ("note", _note, "keep a note with a run"),
        ("archive", _archive, "put an ended run away"),
    ):
        more = {"logs": " --lines 50", "note": ' "learning rate too high"', "archive": ""}.get(name, "")
        parsers[name] = command(actions, name, run, does=does, example=f"sleepfm runs {name} {_EXAMPLE_ID}{more}")
        add_home(parsers[name])
        parsers[name].add_argument("id", metavar="ID")
    parsers["logs"].add_argument("--lines", type=positive_int, metavar="N", help="only the last lines")
    parsers["note"].add_argument("text", metavar="TEXT", help="in place of the note before; empty for none")
    parsers["archive"].add_argument("--undo", action="store_true", help="bring it back")


def _describe(job: Job, metrics: dict[str, float] | None = None) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state.value,
        "progress": job.progress,
        "message": job.message,
        "metrics": metrics or {},
        "result": job.result,
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "started_at": None if job.started_at is None else job.started_at.isoformat(),
        "finished_at": None if job.finished_at is None else job.finished_at.isoformat(),
        "attempt": job.attempt,
        "launcher": job.launcher,
        "devices": job.devices,
        "external": job.external,
        "submitted_by": job.submitted_by,
        "parent": job.parent,
        "note": job.note,
        "archived": job.archived,
        "version": job.version,
    }


def _line(job: Job) -> str:
    again = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    said = " ".join((job.error or job.message).split())
    return printable(f"{job.id}  {job.state.value:8}  {100 * job.progress:3.0f} %  {job.title}{again}  {said}")


def _list(options: argparse.Namespace, console: Console) -> int:
    states = tuple(JobState(word) for word in options.state or JobState)
    kinds = None if options.kind is None else tuple(options.kind)
    with closing(JobTable(open_home(options.home))) as table:
        jobs = table.list(states=states, kinds=kinds, archived=options.archived, limit=options.limit)
        there = table.count(states=states, kinds=kinds, archived=options.archived)
        shown = kinds is None and not options.archived
        others = unqueued_runs(table.home, table.ids()) if shown else ()
    lines = [_line(job) for job in jobs]
    if there > len(jobs):
        lines.append(f"and {there - len(jobs)} more; --limit {there} shows them all")
    others = tuple(run for run in others if run.state in states)[: options.limit]
    if others:
        lines += ["started on the command line, outside the queue:", *(_unqueued_line(run) for run in others)]
    told = {"runs": [_describe(job) for job in jobs], "count": there, "unqueued": [_describe_unqueued(run) for run in others]}
    console.result(told, "\n".join(lines) or "no runs yet")
    return 0


def _describe_unqueued(run: UnqueuedRun) -> dict[str, Any]:
    told_at = None if run.told_at is None else run.told_at.isoformat()
    return {
        "folder": run.name,
        "state": run.state.value,
        "progress": run.progress,
        "message": run.message,
        "pid": run.pid,
        "told_at": told_at,
    }


def _unqueued_line(run: UnqueuedRun) -> str:
    process = "" if run.pid is None else f" (process {run.pid})"
    return printable(f"{run.name}  {run.state.value:8}  {100 * run.progress:3.0f} %  {run.message}{process}")


def _show(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.get(options.id)
    curves = Curves(run_folder(home, job.id))
    metrics = {name: float(series.value[-1]) for name, series in sorted(curves.read().items()) if name not in _NOT_FIGURES}
    state = run_state(home, job.id)
    remarks = [*curves.remarks, *([state.remark] if state is not None and state.remark else [])]
    lines = [_line(job), *(f"  {printable(name):45} {value:.6g}" for name, value in metrics.items() if name.count("/") < 2)]
    if job.note:
        lines.append(f"  note: {printable(job.note)}")
    lines += [f"  {remark}" for remark in remarks]
    left = (state.seconds_left if state is not None else None) if job.state is JobState.RUNNING else None
    told = _describe(job, metrics) | {"folder": str(run_folder(home, job.id)), "seconds_left": left, "remarks": remarks}
    console.result(told, "\n".join(lines))
    return 0


def _logs(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.get(options.id)
    if options.lines is None:
        file = log_file(home, job.id)
        said = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        text = "\n".join(printable(line.expandtabs()) for line in said)
    else:
        text = log_tail(home, job.id, options.lines)
    console.result({"id": job.id, "log": text}, text or "nothing was said yet")
    return 0


def _stop(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.request_stop(options.id)
    _write_down(home, "stop run", job)
    return _passed_on(home, job, console, "stopping")


def _kill(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.request_kill(options.id)
    _write_down(home, "kill run", job)
    return _passed_on(home, job, console, "being killed")


def _resume(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = resume(table, options.id, submitted_by=account_name())
    _write_down(home, "resume run", job)
    return _passed_on(home, job, console, f"queued again, attempt {job.attempt}")


def _note(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.annotate(options.id, options.text.strip())
    _write_down(home, "annotate run", job)
    console.result(_describe(job), f"{job.id}: the note is kept" if job.note else f"{job.id}: no note any more")
    return 0


def _archive(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        job = table.archive(options.id, archived=not options.undo)
    _write_down(home, "archive run" if job.archived else "bring run back", job)
    console.result(_describe(job), f"{job.id}: {'put away' if job.archived else 'back in the list'}")
    return 0


def _passed_on(home: Home, job: Job, console: Console, words: str) -> int:
    """Say what happens now, and see that somebody does it."""
    if job.open:
        ensure_running(home)
    console.result(_describe(job), f"{job.id}: {words if job.open else job.state.value}")
    return 0


def _write_down(home: Home, action: str, job: Job) -> None:
    write_down(home, action, job.id, {"kind": job.kind, "title": job.title})
