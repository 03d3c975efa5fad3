"""A review and its changes as the browser gets them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.library.review_edits import can_undo_redo
from sleepfm.library.review_log import LogEntry, changes_since
from sleepfm.library.review_patch import event_json
from sleepfm.library.review_standing import scored_by_hand
from sleepfm.library.reviews import Review, document, one_moment, review, stored_stages, why_locked
from sleepfm.viewer.signed_in import User


def review_json(library: Library, scoring: int, user: User) -> dict[str, Any]:
    """Return a review whole, as this user sees it.

    Returns
    -------
    dict
        `scoring`, `scorer`, `begun` (when, ISO 8601), `stages`, `proposed` (numbers of `Stage`, one a whole epoch), `proposal`
        (words), `looked_at` (epochs, 1-based, that a person set or confirmed), `warnings`, `events` (`id`, `start`, `stop` in
        seconds, `name`, `channel`, `source`, `extra`; in order of onset), and what `standing_json` gives.
    """
    content = document(library, scoring)
    return {
        "scoring": str(scoring),
        "scorer": content.review.scorer,
        "begun": content.review.began_at.isoformat(),
        "stages": content.stages.tolist(),
        "proposed": content.proposed.tolist(),
        "proposal": content.review.proposal,
        "looked_at": (np.flatnonzero(scored_by_hand(library.connection, scoring)) + 1).tolist(),
        "warnings": list(content.review.warnings),
        "events": [{"id": identifier, **(event_json(event) or {})} for identifier, event in content.events.items()],
        **standing_json(library, content.review, user),
    }


def followed_json(library: Library, scoring: int) -> dict[str, Any]:
    """Return what a browser that only shows a review needs: `scoring`, `version` and its `stages`, all of one moment."""
    with one_moment(library.connection):
        about = review(library, scoring)
        stages, _, _ = stored_stages(library.connection, scoring)
    return {"scoring": str(scoring), "version": about.version, "stages": stages.tolist()}


def standing_json(library: Library, about: Review, user: User) -> dict[str, Any]:
    """Return what can be done with a review: `me`, `state`, `version`, `editable`, `why_not`, `undo`, `redo`."""
    why_not = why_locked(library, about) if user.may(Role.SCORER) else f"this asks for the role “{Role.SCORER}”"
    undo, redo = can_undo_redo(library, about.scoring, user.name)
    return {
        "me": user.name,
        "state": about.state.value,
        "version": about.version,
        "editable": not why_not,
        "why_not": why_not,
        "undo": undo,
        "redo": redo,
    }


def changes_json(library: Library, scoring: int, since: int, user: User) -> dict[str, Any]:
    """Return what happened to a review after version `since`, in order, and what `standing_json` gives."""
    standing = standing_json(library, review(library, scoring), user)
    changes = [_change(entry) for entry in changes_since(library, scoring, since) if entry.id <= standing["version"]]
    return {**standing, "changes": changes}


def _change(entry: LogEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "by": entry.user,
        "at": entry.at.isoformat(),
        "action": entry.action,
        "note": entry.note,
        "stages": [[epoch, after] for epoch, _, after in entry.patch.stages],
        "events": [[identifier, event_json(after)] for identifier, _, after in entry.patch.events],
    }
