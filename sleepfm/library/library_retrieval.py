"""The numbers of `sleepfm evaluate retrieval`, on the library's index of windows."""

from __future__ import annotations

from collections.abc import Sequence

from sleepfm.home import Home
from sleepfm.progress import Progress, silent


def library_retrieval(
    home: Home,
    encoder: str,
    studies: Sequence[str] | None = None,
    candidates: Sequence[int] = (1_000, 10_000, 90_000),
    *,
    progress: Progress = silent,
) -> dict[str, object]:
    """Return what `sleepfm evaluate retrieval --json` gives for these studies (heavy: imports torch's rooms; for the resident
    process, a job or the command line).

    Parameters
    ----------
    home
        Where the library is.
    encoder
        Its name on the shelf.
    studies
        Ids; None for all that are in the index.
    candidates
        Sizes at which to report.

    Raises
    ------
    RequestError
        Nothing to rank.
    """
    raise NotImplementedError
