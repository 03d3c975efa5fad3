"""The command that starts the web app."""

from __future__ import annotations

import argparse
import socket
import threading
import time
import urllib.error
import urllib.request
import webbrowser

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command
from sleepfm.errors import RequestError
from sleepfm.home import open_home


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    app = command(commands, "app", _app, does="start the web app on this machine", example="sleepfm app --port 8501 --browser")
    app.add_argument("--port", type=int, default=8501, help="port (default: 8501)")
    app.add_argument("--address", default="127.0.0.1", help="address to listen on (this machine's own, until there is sign-in)")
    app.add_argument("--browser", action="store_true", help="open the browser when the app is up")
    app.add_argument("--demo-when-empty", action="store_true", help="put a simulated demo study into an empty library")
    add_home(app)


def _app(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    _require_free(options.address, options.port)
    if options.demo_when_empty:
        from sleepfm.library.jobs import add_demo_when_empty  # noqa: PLC0415 - commands load only what they use

        add_demo_when_empty(home)
    from sleepfm.viewer.server import serve  # noqa: PLC0415

    url = f"http://{options.address}:{options.port}"
    console.say(f"SleepFM Workbench on {url} (library: {home.root}; Ctrl+C stops it)")
    if options.browser:
        threading.Thread(target=_open_when_up, args=(url,), daemon=True).start()
    serve(home, port=options.port, address=options.address)
    return 0


def _require_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        # as the server itself does; without it a port that was just left counts as taken for a minute
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except (OSError, OverflowError) as error:
            raise RequestError(f"port {port} on {address} cannot be used ({error}); choose another with --port") from error


def _open_when_up(url: str) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                webbrowser.open(url)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
