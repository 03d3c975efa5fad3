"""What a format cannot hold is said, so that nobody believes it was kept."""

from __future__ import annotations

from collections.abc import Sequence

from sleepfm.recording.scorings.scoring import Event, Scoring


def losses(
    scoring: Scoring,
    events: Sequence[Event],
    *,
    probabilities: bool,
    with_events: bool = True,
    source: bool = True,
    channel: bool = True,
    extra: tuple[str, ...] | None = None,
) -> list[str]:
    """Return a sentence for each thing that is there and has no place in the file.

    Parameters
    ----------
    scoring, events
        What is written.
    probabilities, with_events, source, channel
        What the format has a place for.
    extra
        The further columns of events that it has a place for; None for all.
    """
    said = []
    if scoring.probabilities is not None and not probabilities:
        said.append("the probabilities are not in the file: the format has no place for them")
    if events and not with_events:
        return [*said, f"{len(events)} event(s) are not in the file: the format holds stages only"]
    if not source and any(event.source for event in events):
        said.append("where each event came from is not in the file: the format has no place for it")
    if not channel and any(event.channel for event in events):
        said.append("the channels of the events are not in the file: the format has no place for them")
    dropped = {key for event in events for key in event.extra} - set(extra or ()) if extra is not None else set()
    if dropped:
        said.append(f"these columns of events are not in the file: {', '.join(sorted(dropped)[:8])}")
    return said
