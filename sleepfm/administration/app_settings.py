"""How this installation is set up: one JSON file in the home folder that the app and its background jobs read.

The command line has options of its own and does not read it, but for what only the app does (sign-in, the cluster).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.home import Home
from sleepfm.runs.launchers.cluster_settings import ClusterSettings
from sleepfm.text import printable
from sleepfm.training.config_files import explain

FORMAT: Final = 1
"""Of the settings file; a newer one is refused, an older one would be brought up to date while it is read."""
_MOST_BYTES = 1_000_000


class Retention(BaseModel):
    """How many days things are kept before tidying up offers them; nothing goes without somebody looking at the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    logs_days: int = Field(default=90, ge=1, le=36_500, title="Logs", description="Logs of jobs that have ended.")
    uploads_days: int = Field(
        default=30, ge=1, le=36_500, title="Unused uploads", description="Uploaded files that no study uses."
    )
    checkpoints_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        title="Checkpoints",
        description="Checkpoints of finished runs whose model is on the shelf; such a run cannot be resumed then.",
    )
    diagnostics_days: int = Field(
        default=30, ge=1, le=36_500, title="Diagnostics", description="Diagnostics bundles made on the settings page."
    )


class AppSettings(BaseModel):
    """Settings of one installation.

    Attributes
    ----------
    folders
        The folders that the app may read recordings, scorings and tables from; None: everything that the account it runs
        under may read, which is for an app that only this machine reaches.
    uploads
        Whether names, codes and dates are taken out of an uploaded recording before it is stored; a file that is named by its
        path is never changed.
    session_hours
        How long a sign-in lasts, in hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = FORMAT
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where models run when a job does not say")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="Arithmetic of models when a job does not say")
    folders: tuple[Path, ...] | None = Field(default=None, description="Folders that the app may read")
    retention: Retention = Retention()
    uploads: Literal["as they are", "de-identified", "de-identified but for age and sex"] = Field(
        default="as they are", description="How uploaded recordings are stored"
    )
    session_hours: float = Field(default=12.0, gt=0, le=24 * 31, description="How long a sign-in lasts (hours)")
    cluster: ClusterSettings = ClusterSettings()

    @field_validator("folders")
    @classmethod
    def _absolute(cls, folders: tuple[Path, ...] | None) -> tuple[Path, ...] | None:
        for folder in folders or ():
            if not folder.is_absolute() or "\0" in str(folder):
                raise ValueError(f"{printable(str(folder))} is not a full path (one that begins at the root)")
        return None if folders is None else tuple(dict.fromkeys(folders))


def read_settings(home: Home) -> AppSettings:
    """Return the settings, the defaults where nothing was ever set.

    Raises
    ------
    SleepFMError
        When the file cannot be read, holds something else, or was written by a newer version. Nothing is guessed then: a
        mistake in the list of folders must not open more than was meant.
    """
    file = home.settings_file
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise SleepFMError(f"{file}: larger than settings can be; {_REMEDY}")
        content: Any = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return AppSettings()
    except OSError as error:
        raise SleepFMError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
    except UnicodeDecodeError:
        raise SleepFMError(f"{file}: not a text file in UTF-8; {_REMEDY}") from None
    except json.JSONDecodeError as error:
        raise SleepFMError(f"{file}: line {error.lineno}: not JSON ({error.msg}); {_REMEDY}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise SleepFMError(f"{file}: not settings; {_REMEDY}") from None
    if not isinstance(content, dict):
        raise SleepFMError(f"{file}: holds no settings; {_REMEDY}")
    version = content.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise SleepFMError(f"{file}: written by a newer SleepFM Workbench; update the software, or move the file away")
    try:
        return AppSettings.model_validate(content)
    except ValidationError as error:
        raise SleepFMError(f"{file}: {explain(AppSettings, error)}; {_REMEDY}") from None


def write_settings(home: Home, settings: AppSettings) -> None:
    """Store the settings, all of them or nothing."""
    with atomic_path(home.settings_file) as temporary:
        temporary.write_text(json.dumps(settings.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", "utf-8")
    home.settings_file.chmod(0o600)  # the cluster's set-up lines may hold a token


def change_settings(home: Home, **changes: Any) -> AppSettings:
    """Change some settings and return all of them; what another admin changes at the same moment is not lost.

    Raises
    ------
    RequestError
        When a value does not fit: which one and why.
    """
    with FileLock(home.settings_file.with_suffix(".lock")):
        content = read_settings(home).model_dump(mode="json")
        for name, value in changes.items():
            content[name] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        try:
            settings = AppSettings.model_validate(content)
        except ValidationError as error:
            raise RequestError(explain(AppSettings, error)) from None
        write_settings(home, settings)
    return settings


_REMEDY = "correct it, or move the file away for the defaults"
