"""Whatever is killed, whenever, and whoever presses which button: the table tells the truth and nothing is left behind.

The table and the dispatcher are the real ones; processes are made up, so that thousands of lives fit into seconds. The
dispatcher can be killed before or after each thing it does, a worker at any moment, the machine as a whole; the disk can be full.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.runs import dispatcher as module
from sleepfm.runs.database import connect
from sleepfm.runs.dispatcher import Dispatcher
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.processes import Mark
from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS, Job, JobState, JobTable, Lane

GPUS = 2
LANES = (Lane.QUICK, Lane.TRAIN_CPU, Lane.TRAIN_CUDA, Lane.CLUSTER)
SINGLE = (Lane.QUICK, Lane.TRAIN_CPU)


class Killed(BaseException):
    """Kill -9: nothing of the dispatcher runs any more."""


@dataclass(eq=False)
class Process:
    """A worker, or something that it started."""

    pid: int
    started: float
    job: str
    attempt: int
    lane: Lane
    gpus: tuple[int, ...]
    phase: str = "forked"  # not yet to be found by its mark
    child: bool = False
    asked: bool = False
    cancelled: bool = False


@dataclass
class World:
    """What outlives a dispatcher: the processes of the machine and of the cluster, and how the disk is."""

    processes: list[Process] = field(default_factory=list)
    fuse: int | None = None
    meanwhile: dict[int, Any] = field(default_factory=dict)
    acts: int = 0
    disk_full: bool = False
    cluster_answers: bool = True
    now: float = 1000.0
    births: Any = field(default_factory=itertools.count)
    stops: set[tuple[str, int]] = field(default_factory=set)
    """Attempts of jobs for the cluster that are to do nothing when they get there."""

    def act(self) -> None:
        """Let happen what happens between two things that the dispatcher does; burn its fuse: it is killed when that ends."""
        self.acts += 1
        happening = self.meanwhile.pop(self.acts, None)
        if happening is not None:
            happening()
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed

    def spawn(self, job: Job, gpus: tuple[int, ...], *, child: bool = False) -> Process:
        number = next(self.births)
        taken = {process.pid for process in self.processes}
        pid = next(pid for pid in range(100, 100_000) if pid not in taken)  # used again as soon as they are free
        self.processes.append(Process(pid, 10.0 * number, job.id, job.attempt, job.lane, gpus, child=child))
        return self.processes[-1]

    def end(self, which: Any) -> None:
        self.processes[:] = [process for process in self.processes if not which(process)]


class Launcher:
    """Starts made-up processes; some of them have children that survive them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        self.world.act()
        if self.world.disk_full and job.launcher == "local":
            raise OSError(28, "No space left on device")
        process = self.world.spawn(job, gpus)
        self.world.act()  # killed here, the cluster's queue shows the job only later
        process.phase = "starting"
        if job.devices > 1 and job.launcher == "local":  # Slurm ends all of a job itself
            self.world.spawn(job, gpus, child=True).phase = "working"
        self.world.act()
        if job.launcher == "slurm":
            return Handle(external=str(process.pid) + "/" + str(process.started))
        return Handle(process.pid, process.started)

    def _own(self, job: Job) -> Process | None:
        for process in self.world.processes:
            if job.external in (None, f"{process.pid}/{process.started}") and (
                job.external is not None or (process.pid, process.started) == (job.pid, job.pid_started)
            ):
                return process
        return None

    def find(self, job: Job) -> Handle | None:
        self.world.act()
        if job.launcher == "slurm" and not self.world.cluster_answers:
            raise SleepFMError("the cluster does not answer")
        for process in self.world.processes:
            if (process.job, process.attempt) == (job.id, job.attempt) and process.phase != "forked":
                if job.launcher == "slurm":
                    return Handle(external=f"{process.pid}/{process.started}")
                return Handle(process.pid, process.started)
        return None

    def poll(self, job: Job) -> LaunchState:
        self.world.act()
        process = self._own(job)
        if process is None:
            return LaunchState(alive=False, words="its process was ended by SIGKILL")
        if job.launcher == "slurm" and process.phase == "done":
            return LaunchState(alive=False, end=JobState.FINISHED, result={"pid": process.pid})
        if job.launcher == "slurm" and process.asked and process.phase == "working":
            return LaunchState(alive=False, end=JobState.STOPPED, error="stopped by the user")
        return LaunchState(alive=True, fraction=0.5 if job.launcher == "slurm" else None, message="on the cluster")

    def stop(self, job: Job) -> None:
        self.world.act()
        self.world.stops.add((job.id, job.attempt))
        process = self._own(job)
        if process is not None:
            process.asked = True

    def kill(self, job: Job) -> bool:
        self.world.act()
        if job.launcher == "slurm":  # in its own time
            for process in self.world.processes:
                process.cancelled |= process.job == job.id
            return False
        self.world.end(lambda process: process.job == job.id and process.phase != "forked")
        self.world.act()
        return True


class Table(JobTable):
    """The real table; each thing done to it may be the last, and nothing is written on a full disk."""

    world: World

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("claim", "unclaim", "set_process", "set_external", "report", "end"):
            return found

        def fused(*words: Any, **named: Any) -> Any:
            self.world.act()
            if self.world.disk_full:
                raise SleepFMError("the library could not be written (database or disk is full)")
            done = found(*words, **named)
            self.world.act()
            return done

        return fused


class Runs(RuleBasedStateMachine):
    """One home folder, with everything that can happen to it."""

    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.home = Home(Path("/nowhere"))
        self.connection = connect(Path(":memory:"))
        self.table = JobTable(self.home, self.connection)
        self.fused = Table(self.home, self.connection)
        self.fused.world = self.world
        self.dispatcher: Dispatcher | None = None
        self.added: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        launcher = Launcher(self.world)
        self.patches: list[Any] = [
            patch.object(module, "launcher_of", lambda _name, _home: launcher),
            patch.object(module, "kill_marked", self._kill_marked),
            patch.object(module, "gpus", lambda: tuple(range(GPUS))),
            patch.object(module, "gpus_of", self._gpus_of),
            patch.object(module, "log_tail", lambda *_: "the last words"),
            patch.object(module.time, "monotonic", lambda: self.world.now),
        ]
        for one in self.patches:
            one.start()

    def _kill_marked(self, _home: Any, which: Any) -> int:
        self.world.act()
        self.world.end(lambda p: p.lane is not Lane.CLUSTER and p.phase != "forked" and which(Mark("/nowhere", p.job, p.attempt)))
        self.world.act()
        return 0

    def _gpus_of(self, pid: int | None) -> tuple[int, ...]:
        return next((process.gpus for process in self.world.processes if process.pid == pid), ())

    # what people do

    @rule(target=jobs, lane=st.sampled_from(LANES), name=st.sampled_from("abc"), devices=st.integers(1, GPUS + 1))
    def submit(self, lane: Lane, name: str, devices: int) -> str:
        kind = "pretrain" if lane is not Lane.QUICK else "import"
        launcher = "slurm" if lane is Lane.CLUSTER else "local"
        try:
            job = self.table.add(
                kind, lane=lane, title=name, subject=name, parameters={"n": devices}, devices=devices, launcher=launcher
            )
        except RequestError:
            job = next(job for job in self.table.list(states=OPEN_STATES, kinds=TRAINING_KINDS, subject=name))
        self.added[job.id] = self.added[job.id] or 1
        return job.id

    @rule(job=jobs, urgent=st.booleans())
    def stop(self, job: str, urgent: bool) -> None:
        (self.table.request_kill if urgent else self.table.request_stop)(job)

    @rule(job=jobs)
    def resume(self, job: str) -> None:
        before = self.table.get(job)
        try:
            after = self.table.resume(job)
        except RequestError:
            same = self.table.list(states=OPEN_STATES, kinds=TRAINING_KINDS, subject=before.subject)
            assert not before.resumable or same
            return
        assert before.resumable
        assert (after.id, after.state, after.pid, after.external, after.stop_requested) == (
            job,
            JobState.QUEUED,
            None,
            None,
            False,
        )
        self.added[job] += 1

    @rule(job=jobs)
    def archive(self, job: str) -> None:
        try:
            assert not self.table.archive(job).open
        except RequestError:
            assert self.table.get(job).open

    # what the dispatcher does, and what is done to it

    @rule(
        fuse=st.none() | st.integers(0, 30),
        steps=st.integers(1, 4),
        seconds=st.sampled_from([0.1, 3.0, 15.0, 130.0]),
        disk_full=st.sampled_from([False, False, False, True]),
        meanwhile=st.dictionaries(st.integers(1, 30), st.integers(0, 5), max_size=3),
    )
    def dispatcher_works(self, fuse: int | None, steps: int, seconds: float, disk_full: bool, meanwhile: dict[int, int]) -> None:
        """It may be killed at any point of it; workers go on, and people press buttons, between any two things that it does."""
        self.world.disk_full = disk_full
        self.world.acts, self.world.meanwhile = 0, {act: self._happening(what) for act, what in meanwhile.items()}
        self.world.fuse = fuse
        for _ in range(steps):
            self.world.now += seconds
            self._dispatch()
        self.world.meanwhile, self.world.fuse, self.world.disk_full = {}, None, False

    def _happening(self, what: int) -> Any:
        def happen() -> None:
            fuse, self.world.fuse = self.world.fuse, None  # it is not the dispatcher that acts
            later, self.world.meanwhile = self.world.meanwhile, {}
            try:
                for process in [one for one in self.world.processes if not one.child][:2]:
                    self._advance(process, done=what % 2 == 1)
                if what == 4:
                    for job in self.table.list(states=OPEN_STATES, limit=1):
                        self.table.request_stop(job.id)
                if what == 5:
                    for job in self.table.list(states=(JobState.STOPPED, JobState.CRASHED), limit=1):
                        self.resume(job.id)
            finally:
                self.world.fuse, self.world.meanwhile = fuse, later

        return happen

    def _dispatch(self) -> None:
        try:
            if self.dispatcher is None:
                self.dispatcher = Dispatcher(self.home, self.fused)
                self.dispatcher.adopt()
            self.dispatcher.step()
        except SleepFMError:
            assert self.world.disk_full  # it tries again with its next step
        except Killed:
            self.dispatcher = None
            self.world.fuse = None

    @rule(what=st.sampled_from(["dispatcher", "machine", "cluster silent", "cluster speaks"]))
    def break_down(self, what: str) -> None:
        if what in ("dispatcher", "machine"):
            self.dispatcher = None
        if what == "machine":
            self.world.end(lambda process: process.lane is not Lane.CLUSTER)
        if what.startswith("cluster"):
            self.world.cluster_answers = what == "cluster speaks"

    # what workers do, and what is done to them

    def _some(self, data: Any, *phases: str) -> Process | None:
        there = [process for process in self.world.processes if process.phase in phases and not process.child]
        return data.draw(st.sampled_from(there)) if there else None

    @rule(data=st.data(), times=st.integers(1, 3))
    def worker_goes_on(self, data: Any, times: int) -> None:
        process = self._some(data, "forked", "starting", "working", "leaving")
        while process in self.world.processes and times:
            self._advance(process, done=data.draw(st.booleans()))
            times -= 1

    @rule(data=st.data())
    def worker_is_killed(self, data: Any) -> None:
        process = self._some(data, "forked", "starting", "working", "leaving", "done")
        if process is not None:
            self.world.processes.remove(process)

    def _advance(self, process: Process, *, done: bool) -> None:
        """Let a worker do the next thing of its life, as `sleepfm.runs.worker` does it."""
        if process.phase == "forked":
            process.phase = "starting"
            return
        if process.cancelled:
            self.world.processes.remove(process)
            return
        if process.lane is Lane.CLUSTER:  # it does not see the table
            if process.phase == "starting" and (process.job, process.attempt) in self.world.stops:
                self.world.processes.remove(process)
                return
            process.phase = "done" if process.phase == "working" and done and not process.asked else "working"
            return
        try:
            if process.phase == "starting":
                mine = self.fused.set_process(process.job, process.pid, process.started, attempt=process.attempt)
                process.phase = "working" if mine else "leaving"
            elif process.phase == "leaving":
                self.world.processes.remove(process)
            elif self.fused.report(process.job, 0.5, "working", attempt=process.attempt) or process.asked:
                self.fused.end(process.job, JobState.STOPPED, attempt=process.attempt)
                process.phase = "leaving"
            elif done:
                if self.fused.end(process.job, JobState.FINISHED, result={"pid": process.pid}, attempt=process.attempt):
                    self.finished[process.job] += 1
                process.phase = "leaving"
        except SleepFMError:
            self.world.processes.remove(process)  # the disk is full: it ends with an error

    # what is always true

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        rows = self.table.list(archived=None, limit=10_000)
        assert {row.id for row in rows} == set(self.added)
        for row in rows:
            # a submission to the cluster that nobody saw counts as an attempt
            assert row.attempt >= self.added[row.id] if row.lane is Lane.CLUSTER else row.attempt == self.added[row.id]
            assert (row.state in OPEN_STATES) == (row.finished_at is None)
            assert (row.state is JobState.QUEUED) <= (row.pid is None and row.external is None and not row.stop_requested)
            assert not (row.open and row.archived)
            assert (row.result is not None) == (row.state is JobState.FINISHED)
        assert all(count == 1 for count in self.finished.values())

    @invariant()
    def one_process_works_on_a_run(self) -> None:
        working = Counter(p.job for p in self.world.processes if p.phase in ("working", "done") and not p.child)
        assert all(count == 1 for count in working.values()), working

    @invariant()
    def one_open_run_makes_a_model(self) -> None:
        rows = self.table.list(states=OPEN_STATES, kinds=TRAINING_KINDS, limit=10_000)
        assert all(count == 1 for count in Counter(row.subject for row in rows).values())

    @invariant()
    def places_are_kept(self) -> None:
        at_work = [p for p in self.world.processes if p.phase in ("starting", "working") and not p.child]
        for lane in SINGLE:
            assert len({p.job for p in at_work if p.lane is lane}) <= 1
        handed = Counter(number for _, number in {(p.job, number) for p in at_work for number in p.gpus})
        assert all(count == 1 for count in handed.values())

    def teardown(self) -> None:
        """When nobody does anything more, everything comes to an end, and no process is left."""
        try:
            self.world.cluster_answers = True
            for _ in range(200):
                self.world.now += 3.0
                self._dispatch()
                for process in list(self.world.processes):
                    if not process.child:
                        self._advance(process, done=True)
                if not self.table.list(states=OPEN_STATES, limit=1) and not self.world.processes:
                    break
            self.nothing_is_lost_or_doubled()
            assert not self.table.list(states=OPEN_STATES)
            assert not self.world.processes, "an orphan"
        finally:
            for one in self.patches:
                one.stop()
            self.connection.close()


Runs.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
TestRuns = Runs.TestCase
