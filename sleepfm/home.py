"""Where things live: `SLEEPFM_HOME`, one folder that can be copied to another machine (contracts, "Where things live")."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from sleepfm.errors import RequestError


@dataclass(frozen=True)
class Home:
    """The folders of one installation."""

    root: Path

    @property
    def database(self) -> Path:
        """The library's SQLite file."""
        return self.root / "library.sqlite"

    @property
    def studies(self) -> Path:
        """What was derived from each study, and uploaded files."""
        return self.root / "studies"

    @property
    def models(self) -> Path:
        """The model shelf."""
        return self.root / "models"

    @property
    def runs(self) -> Path:
        """One folder a background job."""
        return self.root / "runs"

    @property
    def datasets(self) -> Path:
        """Studies of the library made ready for training, one folder a dataset."""
        return self.root / "datasets"

    @property
    def settings_file(self) -> Path:
        """How this installation is set up."""
        return self.root / "settings.json"

    @property
    def indexes(self) -> Path:
        """The vectors that neighbours are looked up in, a folder an encoder."""
        return self.root / "indexes"

    @property
    def maps(self) -> Path:
        """Projections of embeddings, one file a map."""
        return self.root / "maps"


def home_folder(root: Path | str | None = None) -> Path:
    """Return the folder that `open_home` opens, which need not be there.

    Links are followed: what runs for a home is found by its path, which must be one whichever way it was typed.

    Raises
    ------
    RequestError
        When the path leads nowhere: a ring of links, an unknown user's folder.
    """
    typed = Path(root or os.environ.get("SLEEPFM_HOME") or platformdirs.user_data_path("sleepfm"))
    try:
        return typed.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"{typed}: cannot be followed ({error}); set SLEEPFM_HOME or --home to a folder") from None


def open_home(root: Path | str | None = None) -> Home:
    """Return the home folder, made if it is not there.

    Parameters
    ----------
    root
        The folder; default `$SLEEPFM_HOME`, else the platform's user-data folder.

    Raises
    ------
    RequestError
        When the folder cannot be made or written.
    """
    chosen = home_folder(root)
    home = Home(chosen)
    try:
        for folder in (home.root, home.studies, home.models, home.runs):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"{chosen}: the home folder cannot be made ({error.strerror}); set SLEEPFM_HOME or --home to a folder you may write"
        ) from error
    return home
