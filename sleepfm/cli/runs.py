"""Commands on background jobs: runs list, show, stop, logs."""

from __future__ import annotations

import argparse
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group
from sleepfm.home import open_home
from sleepfm.runs.dispatcher import log_file
from sleepfm.runs.table import Job, JobTable
from sleepfm.text import printable


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "runs", does="background jobs: list, show, stop, logs")
    for name, run, does, example in (
        ("list", _list, "list the newest runs", "sleepfm runs list"),
        ("show", _show, "show one run", "sleepfm runs show 20261120-101500-a1b2c3"),
        ("stop", _stop, "stop a run", "sleepfm runs stop 20261120-101500-a1b2c3"),
        ("logs", _logs, "print what a run said", "sleepfm runs logs 20261120-101500-a1b2c3"),
    ):
        parser = command(actions, name, run, does=does, example=example)
        add_home(parser)
        if name != "list":
            parser.add_argument("id", metavar="ID")


def _describe(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state.value,
        "progress": job.progress,
        "message": job.message,
        "metrics": {},
        "result": job.result,
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "started_at": None if job.started_at is None else job.started_at.isoformat(),
        "finished_at": None if job.finished_at is None else job.finished_at.isoformat(),
    }


def _line(job: Job) -> str:
    return printable(f"{job.id}  {job.state.value:8}  {100 * job.progress:3.0f} %  {job.title}  {job.error or job.message}")


def _list(options: argparse.Namespace, console: Console) -> int:
    jobs = JobTable(open_home(options.home)).list()
    console.result({"runs": [_describe(job) for job in jobs]}, "\n".join(_line(job) for job in jobs) or "no runs yet")
    return 0


def _show(options: argparse.Namespace, console: Console) -> int:
    job = JobTable(open_home(options.home)).get(options.id)
    console.result(_describe(job), _line(job))
    return 0


def _stop(options: argparse.Namespace, console: Console) -> int:
    job = JobTable(open_home(options.home)).request_stop(options.id)
    console.result(_describe(job), f"{job.id}: {'stopping' if job.open else job.state.value}")
    return 0


def _logs(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    job = JobTable(home).get(options.id)
    file = log_file(home, job.id)
    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    console.result({"id": job.id, "log": text}, text.rstrip("\n") or "nothing was said yet")
    return 0
