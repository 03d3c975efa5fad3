import pytest

from sleepfm.simulation.night import Night, simulate_night


@pytest.fixture(scope="session")
def night() -> Night:
    """Three simulated hours: two short cycles with every stage."""
    return simulate_night(3, 3.0)
