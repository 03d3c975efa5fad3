"""The cohort page's sentences: how a map stands to its library, how it was made, and how many there are of anything."""

from __future__ import annotations

from sleepfm.library.maps import MapGrain, Standing, StoredMap

UNITS = {MapGrain.NIGHT: "nights", MapGrain.WINDOW: "windows"}


def counted(n: int, one: str, many: str) -> str:
    """Return a number with its noun: "1 study", "1,204 studies"."""
    return f"{n:,} {one if n == 1 else many}"


def standing_words(now: Standing, missing: int) -> str:
    """Return what has changed since a map was made; nothing when all is as it was.

    Parameters
    ----------
    now
        How it stands to the index.
    missing
        Studies of the library that are not in the index.
    """
    said = []
    if now.new:
        said.append(f"{counted(len(now.new), 'study', 'studies')} came since this map was made")
    if now.gone:
        said.append(f"{counted(len(now.gone), 'study is', 'studies are')} gone")
    if now.people_changed:
        said.append("more is known of the people")
    if now.scored_anew:
        said.append(f"{counted(now.scored_anew, 'study has', 'studies have')} another scoring")
    if missing:
        said.append(f"{counted(missing, 'study', 'studies')} of the library not in this encoder's index")
    words = "; ".join(said)
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def made_words(stored: StoredMap, encoder: str) -> str:
    """Return what a map shows, what it leaves out, and when it was made."""
    unit = UNITS[stored.spec.grain]
    fitted = stored.n - int(stored.placed_n.sum())
    said = [f"{stored.n:,} {unit} of {counted(len(stored.studies), 'study', 'studies')} by {encoder}; {fitted:,} fitted"]
    if fitted < stored.n:
        said.append(f"{stored.n - fitted:,} placed (rings)")
    if stored.left_out:
        said.append(f"{counted(stored.left_out, 'window', 'windows')} left out (gaps, not whole, or not recorded)")
    if stored.thinned:
        said.append(f"{stored.thinned:,} windows not drawn: a sample of {stored.n:,} is shown")
    if stored.empty_studies:
        said.append(f"{counted(len(stored.empty_studies), 'study has', 'studies have')} no usable window")
    return "; ".join(said) + f". Made {stored.created_at:%Y-%m-%d %H:%M} UTC. Research use."
