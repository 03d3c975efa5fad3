"""A whole Slurm cluster on this machine, accounting included, in a folder of its own: for tests, and gone after them."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PROGRAMS = (
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "mariadb",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "sacctmgr",
    "sbatch",
    "sacct",
)
_SYSTEM_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_CORES = 4
_PATIENCE_S = 40.0


def missing_programs() -> tuple[str, ...]:
    """Return what must be installed before a cluster can be started here."""
    return tuple(name for name in PROGRAMS if _find(name) is None)


class SlurmMachine:
    """One node that is controller, database and worker at once; `environment` is what its clients need."""

    def __init__(self) -> None:
        # sockets have short names (108 characters), so the folder cannot lie below pytest's
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._database, self._accounting, self._controller, self._daemon = _free_ports(4)
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything; returns when the node takes jobs."""
        for name in ("munge", "mysql", "log", "state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        self._start_munge()
        self._start_database()
        self._write_configuration()
        # in the foreground (-D), each is a child of ours: whatever happens, it is known by its process
        self._spawn("slurmdbd", "-D")
        self._until(lambda: self._ask("sacctmgr", "-i", "add", "cluster", "test"), "slurmdbd")
        self._spawn("slurmctld", "-D", "-c")
        self._spawn("slurmd", "-D")
        self._until(lambda: self._ask("sinfo", "-h", "-o", "%T") == "idle", "slurmd")

    def stop(self) -> None:
        """End everything, the jobs first, and remove the folder."""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self._run("scancel", "--user", getpass.getuser(), timeout=5)
            self._until(lambda: self._ask("squeue", "-h", "-o", "%i") == "", "the jobs' end", patience_s=10)
        for process in reversed(self._started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *words: str) -> str:
        """Run a client of the cluster and return what it says."""
        return self._run(*words, timeout=20).stdout.strip()

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        (munge / "key").write_bytes(secrets.token_bytes(128))
        (munge / "key").chmod(0o600)
        self._spawn(
            "munged",
            "--foreground",
            "--force",
            f"--socket={munge / 'sock'}",
            f"--key-file={munge / 'key'}",
            f"--pid-file={munge / 'pid'}",
            f"--seed-file={munge / 'seed'}",
            f"--log-file={self.folder / 'log' / 'munge.log'}",
        )
        self._until((munge / "sock").exists, "munged")

    def _start_database(self) -> None:
        mysql = self.folder / "mysql"
        common = ("--no-defaults", f"--user={getpass.getuser()}", f"--datadir={mysql / 'data'}")
        self._run("mariadb-install-db", *common, "--skip-test-db", timeout=60)
        self._spawn(
            "mariadbd",
            *common,
            f"--socket={mysql / 'sock'}",
            f"--pid-file={mysql / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self._database}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
        )
        words = "CREATE USER slurm@127.0.0.1 IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO slurm@127.0.0.1"
        self._until(
            lambda: self._ask("mariadb", "--no-defaults", f"--socket={mysql / 'sock'}", "-e", words) is not None, "mariadbd"
        )

    def _write_configuration(self) -> None:
        folder, host, user = self.folder, socket.gethostname().split(".")[0], getpass.getuser()
        accounting = folder / "slurmdbd.conf"
        accounting.write_text(
            f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
DbdHost=localhost
DbdPort={self._accounting}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self._database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
"""
        )
        accounting.chmod(0o600)
        (folder / "slurm.conf").write_text(
            f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={self._accounting}
AccountingStoragePass={folder}/munge/sock
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldPort={self._controller}
SlurmdPort={self._daemon}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={_CORES} RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
        )

    def _spawn(self, name: str, *words: str) -> None:
        log = (self.folder / "log" / f"{name}.out").open("wb")
        with log:
            self._started.append(
                subprocess.Popen(
                    [_require(name), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C of the test run is not for them: they are stopped in order
                    env={**os.environ, **self.environment},
                )
            )

    def _run(self, name: str, *words: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [_require(name), *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **self.environment},
        )

    def _ask(self, name: str, *words: str) -> str | None:
        """Return what a client says, None when it fails (the daemon is not there yet)."""
        try:
            return self._run(name, *words, timeout=10).stdout.strip()
        except subprocess.SubprocessError:
            return None

    def _until(self, condition: Callable[[], object], what: str, *, patience_s: float = _PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            ended = [str(process.args) for process in self._started if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come up; ended: {ended}; {_words(self.folder / 'log')}")
            time.sleep(0.1)


def _words(logs: Path) -> str:
    said = [f"{file.name}: {' / '.join(file.read_text('utf-8', 'replace').splitlines()[-3:])}" for file in logs.iterdir()]
    return "\n".join(said)


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_PLACES)))


def _require(name: str) -> str:
    found = _find(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def _free_ports(n: int) -> Sequence[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def slurm_machine() -> Iterator[SlurmMachine]:
    """Run a cluster for the length of a block; it is stopped however the block ends."""
    machine = SlurmMachine()
    before = {name: os.environ.get(name) for name in machine.environment}
    try:
        machine.start()
        os.environ.update(machine.environment)
        yield machine
    finally:
        machine.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


if sys.platform == "win32":
    PROGRAMS = ()
