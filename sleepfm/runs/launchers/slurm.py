"""Jobs on a Slurm cluster, through submitit: one job a run, with a process a device; one array a conversion or embedding.

A Slurm job survives the app and the dispatcher. It carries its home, its run's id and attempt in its name, so that it is found
again even when the dispatcher was killed between submitting it and writing its number down.
"""

from __future__ import annotations

import hashlib
import math
import os
import shlex
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sleepfm
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.runs import cluster_worker
from sleepfm.runs.cluster_exchange import Exchange, Order
from sleepfm.runs.cluster_verdict import elements_of, verdict
from sleepfm.runs.cluster_watch import ClusterWatch, said_by, slurm
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.launchers.cluster_settings import ClusterSettings, cluster_settings
from sleepfm.runs.run_files import log_file
from sleepfm.runs.table import Job

_WARNING_S = 120
"""How long before the time limit a job is told: long enough for a checkpoint of a large model on slow storage."""
_FRESH_S = 0.5
_AGAIN_S = 10.0
_NOT_THERE = ("invalid job id", "already completing or completed", "job has already finished")


class SlurmLauncher:
    """Submits jobs to Slurm, and knows them again by the cluster's number."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._watch = ClusterWatch()
        self._said: dict[str, tuple[float, LaunchState]] = {}
        self._killed_at: dict[str, float] = {}

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:  # noqa: ARG002 - the cluster hands out its own
        """Submit the job; its parts, where `parameters["parts"]` says how many, as an array.

        Raises
        ------
        SleepFMError
            There is no cluster here, it does not answer, or it refuses the job: its reason, and what to change.
        """
        settings = cluster_settings(self._home)
        _require_answer()
        if job.attempt > 1:
            _cancel(
                f"--name={self._name(job, job.attempt - 1)}", "--me"
            )  # it ended, as far as anybody could tell: now for certain
        parts = int(job.parameters.get("parts", 0))
        exchange = Exchange.of(self._home.runs, job)
        exchange.give(
            Order(
                home=str(self._home.root),
                job=job.id,
                kind=job.kind,
                parameters=job.parameters,
                parts=parts,
                tasks=job.devices,
                version=sleepfm.__version__,
            )
        )
        try:
            external = _submit(exchange.folder, self._name(job, job.attempt), _options(job, settings, parts), settings, parts)
        except SleepFMError:
            # the answer may have been lost on its way, and the job be there
            handle = self.find(job)
            if handle is None or handle.external is None:
                raise
            external = handle.external
        with log_file(self._home, job.id).open("a", encoding="utf-8") as log:
            log.write(f"submitted as Slurm job {external} ({f'parts: {parts}' if parts else f'processes: {job.devices}'})\n")
        return Handle(external=external)

    def find(self, job: Job) -> Handle | None:
        """Look for the job by its name, in the queue and in accounting."""
        name = self._name(job, job.attempt)
        said = slurm("squeue", "--me", "--noheader", f"--name={name}", "--format=%F")
        if not said.strip():
            since = (job.created_at - timedelta(days=1)).strftime("%Y-%m-%d")
            said = slurm(
                "sacct", "--noheader", "--parsable2", "--allocations", f"--name={name}", f"--starttime={since}", "--format=JobID"
            )
        numbers = sorted({int(head) for line in said.split() if (head := line.partition("_")[0]).isdecimal()})
        return Handle(external=str(numbers[0])) if numbers else None

    def poll(self, job: Job) -> LaunchState:
        """Tell how the job stands, from the cluster's last answer and from what its processes said."""
        if job.external is None:
            return LaunchState(alive=False, words="it was never submitted")
        at, state = self._said.get(job.external, (0.0, None))
        if state is None or (state.alive and time.monotonic() - at >= _FRESH_S):
            state = self._look(job, job.external)
            self._said[job.external] = (time.monotonic(), state)
            if not state.alive:
                self._watch.forget(job.external)
        return state

    def _look(self, job: Job, external: str) -> LaunchState:
        every_s = cluster_settings(self._home).ask_every_s
        standing = self._watch.standing(external, elements_of(job), every_s=every_s)
        if standing is None:
            return LaunchState(alive=True, fraction=0.0, message=self._watch.trouble or "submitted to the cluster")
        state = verdict(job, standing, Exchange.of(self._home.runs, job), patience_s=2 * every_s)
        if state.alive and self._watch.trouble:
            return replace(state, message=self._watch.trouble)
        return state

    def stop(self, job: Job) -> None:
        """Take it out of the queue, or ask its processes to write their checkpoint and end."""
        Exchange.of(self._home.runs, job).ask_to_stop()  # for processes that no signal reaches: they are only starting
        external = job.external
        if external is None:
            return

        def ask() -> None:
            _cancel("--state=PENDING", external)
            _cancel("--signal=TERM", external)

        self._watch.later(ask)

    def kill(self, job: Job) -> bool:
        """Have the cluster end it, and say that it is not known yet whether it has."""
        external = job.external
        if external is None or (external in self._said and not self._said[external][1].alive):
            return True
        if time.monotonic() - self._killed_at.get(external, -math.inf) > _AGAIN_S:
            self._killed_at[external] = time.monotonic()
            Exchange.of(self._home.runs, job).ask_to_stop()
            self._watch.later(lambda: _cancel(external))
        return False

    def _name(self, job: Job, attempt: int) -> str:
        """Return an attempt's name on the cluster; a copy of the home, as restored from a backup, has names of its own."""
        home = hashlib.sha256(os.fsencode(self._home.root.resolve())).hexdigest()[:8]
        return f"sleepfm-{home}-{job.id}-{attempt}"


def _require_answer() -> None:
    """Raise SleepFMError when the cluster does not answer: this tells within seconds, where submitting would hang."""
    try:
        slurm("scontrol", "ping")
    except SleepFMError as error:
        raise SleepFMError(f"the cluster does not answer ({error}); try again later, or ask who runs it") from None


def _cancel(*words: str) -> None:
    try:
        slurm("scancel", *words)
    except SleepFMError as error:
        if not any(part in str(error).lower() for part in _NOT_THERE):
            raise


def _options(job: Job, settings: ClusterSettings, parts: int) -> dict[str, Any]:
    """Return what submitit writes into the batch script."""
    tasks = 1 if parts else job.devices
    nodes = -(-tasks // settings.devices_per_node)
    if tasks % nodes:
        raise RequestError(
            f"{tasks} devices cannot be shared out evenly over {nodes} nodes of {settings.devices_per_node}: choose a multiple of"
            f" {settings.devices_per_node}, or change the settings of the cluster"
        )
    a_node = tasks // nodes
    setup = [f"export OMP_NUM_THREADS={settings.cores} MKL_NUM_THREADS={settings.cores}"]
    if not settings.python:
        # the same Python finds the same software, wherever the app was started from
        setup.append(
            f"export PYTHONPATH={shlex.quote(os.fspath(Path(sleepfm.__file__).parents[1]))}${{PYTHONPATH:+:$PYTHONPATH}}"
        )
    return {
        "partition": settings.partition or None,
        "account": settings.account or None,
        "wckey": None,  # submitit's own would be refused where these keys are enforced
        "time": settings.minutes,
        "nodes": nodes,
        "ntasks_per_node": a_node,
        "cpus_per_task": settings.cores,
        "gpus_per_node": a_node if settings.gpus else None,
        "mem": f"{round(settings.memory_gb * 1024)}M",
        "setup": [*setup, *settings.setup],
        "signal_delay_s": _WARNING_S,
        "stderr_to_stdout": True,
        # since Slurm 22.05 a step does not take over the cores of its job; one process that fails ends the others
        "srun_args": [f"--cpus-per-task={settings.cores}", "--kill-on-bad-exit=1"],
        "array_parallelism": parts or 1,
        "additional_parameters": settings.options,
    }


def _submit(folder: Path, name: str, options: dict[str, Any], settings: ClusterSettings, parts: int) -> str:
    """Hand the job to submitit and return the cluster's number."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError  # noqa: PLC0415 - only who has a cluster loads it
    from submitit.slurm.slurm import SlurmExecutor  # noqa: PLC0415

    try:
        executor = SlurmExecutor(folder, python=settings.python or None)
    except RuntimeError:
        raise SleepFMError("srun was not found: install Slurm's commands, or start the app on a machine that has them") from None
    executor.update_parameters(job_name=name, **options)
    try:
        if parts:
            jobs = executor.map_array(cluster_worker.work, [str(folder)] * parts, range(parts))
            return str(jobs[0].job_id).partition("_")[0]
        return str(executor.submit(cluster_worker.work, str(folder), None).job_id)
    except (FailedJobError, FailedSubmissionError) as error:
        raise SleepFMError(_refusal(str(error), settings)) from None


def _refusal(said: str, settings: ClusterSettings) -> str:
    """Return why sbatch refused a job, and what to change, in one line."""
    reason = said_by(said).removesuffix(".")
    words = f"the cluster refused the job: {reason}"
    if "partition" in reason.lower():
        known = ", ".join(sorted(set(slurm("sinfo", "--noheader", "--format=%R").split())))
        return f"{words} (partition {settings.partition or 'not set'}; it has {known}); change the settings of the cluster"
    return f"{words}; change the settings of the cluster"
