"""Lanes and their places: who waits for whom, and which GPUs a run gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.errors import SleepFMError
from sleepfm.home import open_home
from sleepfm.runs import dispatcher as module
from sleepfm.runs.dispatcher import Dispatcher
from sleepfm.runs.launchers import Handle, LaunchState
from sleepfm.runs.table import Job, JobState, JobTable, Lane


class Machine:
    """Starts nothing, and remembers what it was asked to start."""

    def __init__(self) -> None:
        self.alive: dict[str, tuple[int, ...]] = {}
        self.trouble: Exception | None = None

    def start(self, job: Job, *, gpus: tuple[int, ...] = ()) -> Handle:
        if self.trouble is not None:
            raise self.trouble
        self.alive[job.id] = gpus
        return Handle(external=job.id) if job.lane is Lane.CLUSTER else Handle(1000 + len(self.alive), 1.0)

    def find(self, _job: Job) -> Handle | None:
        return None

    def poll(self, job: Job) -> LaunchState:
        return LaunchState(alive=job.id in self.alive)

    def stop(self, _job: Job) -> None:
        pass

    def kill(self, job: Job) -> bool:
        self.alive.pop(job.id, None)
        return True


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "launcher_of", lambda _name, _home: machine)
    monkeypatch.setattr(module, "kill_marked", lambda _home, _which: 0)
    monkeypatch.setattr(module, "gpus", lambda: (0, 1, 2))
    return machine


@pytest.fixture
def dispatcher(tmp_path: Path, machine: Machine) -> Dispatcher:  # noqa: ARG001 - it must be there
    dispatcher = Dispatcher(open_home(tmp_path))
    dispatcher.adopt()
    return dispatcher


def add(table: JobTable, lane: Lane, n: int, devices: int = 1) -> str:
    return table.add("x", lane=lane, title=str(n), parameters={"n": n}, devices=devices).id


def test_lanes_do_not_wait_for_each_other_and_one_place_is_one_place(dispatcher: Dispatcher, machine: Machine) -> None:
    lanes = (Lane.QUICK, Lane.HEAVY, Lane.TRAIN_CPU)
    first = {lane: add(dispatcher.table, lane, 1, devices=4) for lane in lanes}
    second = {lane: add(dispatcher.table, lane, 2) for lane in lanes}
    dispatcher.step()
    dispatcher.step()
    assert set(machine.alive) == set(first.values())
    dispatcher.table.end(first[Lane.HEAVY], JobState.FINISHED)
    dispatcher.step()
    assert second[Lane.HEAVY] not in machine.alive, "the process of the first has not gone yet"
    machine.alive.pop(first[Lane.HEAVY])
    dispatcher.step()
    assert second[Lane.HEAVY] in machine.alive


def test_nobody_overtakes_and_gpus_are_handed_out_once(dispatcher: Dispatcher, machine: Machine) -> None:
    table = dispatcher.table
    two, wide, one = (add(table, Lane.TRAIN_CUDA, n, devices) for n, devices in enumerate((2, 2, 1)))
    dispatcher.step()
    assert machine.alive == {two: (0, 1)}, "one GPU is free, but the next needs two and comes first"
    machine.alive.clear()
    table.end(two, JobState.FINISHED)
    dispatcher.step()
    assert machine.alive == {wide: (0, 1), one: (2,)}


def test_a_run_that_needs_more_than_there_is_is_refused_and_the_queue_goes_on(dispatcher: Dispatcher, machine: Machine) -> None:
    wide, one = (add(dispatcher.table, Lane.TRAIN_CUDA, n, devices) for n, devices in enumerate((4, 1)))
    dispatcher.step()
    refused = dispatcher.table.get(wide)
    assert (refused.state, refused.error) == (JobState.FAILED, "it needs 4 GPUs; this machine has 3 that may be used")
    assert set(machine.alive) == {one}


def test_the_cluster_queues_for_itself(dispatcher: Dispatcher, machine: Machine) -> None:
    jobs = {add(dispatcher.table, Lane.CLUSTER, n) for n in range(20)}
    dispatcher.step()
    assert set(machine.alive) == jobs


@pytest.mark.parametrize("trouble", [SleepFMError("sbatch: no such partition"), OSError(28, "No space left on device")])
def test_what_cannot_be_started_fails_with_a_line(dispatcher: Dispatcher, machine: Machine, trouble: Exception) -> None:
    machine.trouble = trouble
    job = add(dispatcher.table, Lane.CLUSTER, 1)
    dispatcher.step()
    failed = dispatcher.table.get(job)
    assert failed.state is JobState.FAILED
    assert str(trouble.args[-1]) in (failed.error or "")


def test_a_training_run_has_minutes_for_its_checkpoint_and_other_jobs_seconds(
    dispatcher: Dispatcher, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    table = dispatcher.table
    quick = add(table, Lane.QUICK, 1)
    training = table.add("pretrain", lane=Lane.TRAIN_CPU, title="x", subject="model").id
    dispatcher.step()
    for job in (quick, training):
        table.request_stop(job)
    dispatcher.step()
    now += 100
    dispatcher.step()
    assert table.get(quick).error == "stopped by the user"
    assert set(machine.alive) == {training}
    now += 100
    dispatcher.step()
    assert (table.get(training).state, machine.alive) == (JobState.STOPPED, {})
    assert "120 s" in (table.get(training).error or "")
