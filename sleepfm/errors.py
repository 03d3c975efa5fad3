"""Errors that people read: one line each, saying what is wrong, where, and what to do.

The command line prints the message and exits with `exit_code`; the app shows it on the page. Anything that is not one of
these is a defect of ours and keeps its traceback.
"""

from __future__ import annotations


class SleepFMError(Exception):
    """The work failed because of what a file or a model holds (exit code 1)."""

    exit_code = 1


class RequestError(SleepFMError):
    """The request was wrong: an option, a missing path, an unknown name (exit code 2)."""

    exit_code = 2


class RecordingError(SleepFMError):
    """A recording cannot be read, or not in the way that was asked for."""


class MissingChannelsError(RecordingError):
    """A recording lacks the channels that a step needs; `run` skips the step, asked for alone it is an error."""


class RecordingChangedError(RecordingError):
    """The file under an open recording vanished, shrank or was replaced."""


class ScoringError(SleepFMError):
    """A scoring cannot be read or does not fit the recording."""


class ModelError(SleepFMError):
    """Weights or a model's description cannot be used."""


class Cancelled(SleepFMError):  # noqa: N818 - a request that was honoured, not an error
    """The work was cancelled by its user; nothing half-written is left."""
