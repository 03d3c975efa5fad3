"""What an administrator does on the command line stands in the audit log, as it does when it is done in the app."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from sleepfm.administration.audit import record
from sleepfm.home import Home
from sleepfm.runs.database import connect
from sleepfm.runs.submitter import account_name


def who() -> str:
    """Return who stands in the audit log for what the command line does."""
    return f"{account_name()} (command line)"


def write_down(home: Home, action: str, subject: str = "", detail: Mapping[str, Any] | None = None) -> None:
    """Write what was done, in the words of the app's own actions, into the home's audit log; `detail` holds no secret."""
    with closing(connect(home.database)) as connection:
        record(connection, who(), action, subject, detail)
