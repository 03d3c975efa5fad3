"""Which encoder neighbours are looked up with. Loads no torch."""

from __future__ import annotations

from sleepfm.errors import RequestError
from sleepfm.inference.simulated_models import SIMULATED_WORDS
from sleepfm.models.card import SIMULATED, Task
from sleepfm.models.shelf import Shelf, ShelfEntry


def choose_encoder(shelf: Shelf, name: str | None = None) -> ShelfEntry:
    """Return the named encoder; without a name the best one, which is a simulated one only where there is no other.

    Raises
    ------
    RequestError
        The named model is not there or is no encoder, or the shelf has none.
    """
    if name is not None:
        entry = shelf.get(name)
        if entry.card.task is not Task.ENCODER:
            raise RequestError(f"{name} is a model for {entry.card.task.value}, not an encoder; name an encoder")
        return entry
    found = shelf.pick(Task.ENCODER) or shelf.default(Task.ENCODER)
    if found is None:
        raise RequestError(
            f"no encoder is on the shelf{shelf.retired_words(Task.ENCODER)}: `sleepfm models fetch official` downloads the"
            " published one"
        )
    return found


def require_named(encoder: ShelfEntry, *, named: bool, simulated_recording: bool, study: str) -> None:
    """Refuse an encoder that was trained on simulated signals for a real recording, unless it was asked for by its name.

    Raises
    ------
    RequestError
        When it is refused.
    """
    if encoder.card.trained_on == SIMULATED and not named and not simulated_recording:
        raise RequestError(
            f"{study} is a real recording and {encoder.name} was {SIMULATED_WORDS}: ask for it by name (--model {encoder.name}),"
            " or download the published model with `sleepfm models fetch official`"
        )
