"""The routes of the review desk: a review's content, its edits, what others changed, its numbers and what to look at next.

GET  /sleepfm/review?study=&scoring=           `review_json`
POST /sleepfm/review/edits?study=&scoring=     {"version": n, "edits": [{"key", "action", "patch" | "set"}]} → `answer_json`;
                                               409 with "error" and "refused" when something else stands there, 423 when locked
GET  /sleepfm/review/changes?study=&scoring=&since=n
GET  /sleepfm/review/numbers?study=&scoring=
GET  /sleepfm/review/queue?study=&scoring=&epochs=40

`answer_json` is {"version", "undo", "redo", "state", "changes": [{"id", "by", "at", "action", "note", "stages": [[epoch, to], ...],
"events": [[id, to | null], ...]}, ...]}. An undo or redo leaves alone what somebody else has changed since, and says so in the
"note" of its change: what stands is always what "changes" say. To score an epoch as it stands already confirms it:
[epoch, n, n] is stored.
"""

from __future__ import annotations

REVIEW_PATH = "/sleepfm/review"
EDITS_PATH = "/sleepfm/review/edits"
CHANGES_PATH = "/sleepfm/review/changes"
NUMBERS_PATH = "/sleepfm/review/numbers"
QUEUE_PATH = "/sleepfm/review/queue"
