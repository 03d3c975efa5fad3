"""A real Slurm cluster for the tests here; where it is not installed, a visible skip (in CI: a failure)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster.slurm_machine import SlurmMachine, missing_programs, slurm_machine


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmMachine]:
    """Start a cluster of one node for the session, and stop it whatever happens. Its commands find it by SLURM_CONF."""
    missing = missing_programs()
    if missing:
        reason = (
            f"not installed: {', '.join(missing)} (on Debian: apt-get install slurmctld slurmd slurm-client munge slurmdbd"
            " mariadb-server)"
        )
        if os.environ.get("SLEEPFM_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with slurm_machine() as machine:
        yield machine
