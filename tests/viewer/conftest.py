"""Pages that run in the tests' own process belong to this machine's one user, as they do under `sleepfm app`."""

from __future__ import annotations

from streamlit import config

config.set_option("server.address", "127.0.0.1")
