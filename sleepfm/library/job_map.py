"""The job that makes a map, or places on one that is there the studies that came since."""

from __future__ import annotations

from typing import Any

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.map_making import make, place_new
from sleepfm.library.maps import MapSpec, read_map
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane


def submit_map(library: Library, spec: MapSpec, *, anew: bool = False) -> Job:
    """Queue a map and see that it is worked off.

    Parameters
    ----------
    library
        Whose index it shows.
    spec
        What it shows.
    anew
        Fit it again even where a map of this specification is there; else new studies are placed on that one.
    """
    job = library.jobs.add(
        "map",
        lane=Lane.QUICK,
        title=f"Map of {spec.grain}s by {spec.method.upper()}",
        parameters={"spec": spec.model_dump(mode="json"), "anew": anew},
    )
    ensure_running(library.home)
    return job


def make_map(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make the map that the parameters specify; one that shows what the index holds is not made again."""
    spec = MapSpec.model_validate(parameters["spec"])
    with Library(home) as library:
        before = None if parameters["anew"] else read_map(home, spec.identifier)
        stored = make(library, spec, progress) if before is None else place_new(library, before, progress)
    return {
        "map": spec.identifier,
        "studies": len(stored.studies),
        "rows": stored.n,
        "placed": int(stored.placed_n.sum()),
        "reused": stored is before,
    }
