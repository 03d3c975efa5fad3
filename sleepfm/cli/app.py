"""The command that starts the web app."""

from __future__ import annotations

import argparse
import socket
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command
from sleepfm.errors import RequestError
from sleepfm.home import open_home


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    app = command(commands, "app", _app, does="start the web app on this machine", example="sleepfm app --port 8501 --browser")
    app.add_argument("--port", type=int, default=8501, help="port (default: 8501)")
    app.add_argument(
        "--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1; on any other people must sign in)"
    )
    app.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers call the app by, besides this machine's own (repeat for several); people must sign in then",
    )
    app.add_argument("--certificate", type=Path, metavar="FILE", help="certificate (PEM) to serve https with; needs --key")
    app.add_argument("--key", type=Path, metavar="FILE", help="the certificate's private key (PEM)")
    app.add_argument("--browser", action="store_true", help="open the browser when the app is up")
    app.add_argument("--demo-when-empty", action="store_true", help="put a simulated demo study into an empty library")
    add_home(app)


def _app(options: argparse.Namespace, console: Console) -> int:
    home = open_home(options.home)
    _require_files(options.certificate, options.key)
    _require_free(options.address, options.port)
    if options.demo_when_empty:
        from sleepfm.library.jobs import add_demo_when_empty  # noqa: PLC0415 - commands load only what they use

        add_demo_when_empty(home)
    from sleepfm.viewer.server import serve, sign_in_for  # noqa: PLC0415

    sign_in = sign_in_for(home, options.address, options.allowed_host)
    scheme = "http" if options.certificate is None else "https"
    url = f"{scheme}://{_shown(options.address)}:{options.port}"
    who = "" if sign_in is None else ", people sign in"
    console.say(f"SleepFM Workbench on {url} (library: {home.root}{who}; Ctrl+C stops it)")
    if sign_in is not None and options.certificate is None:
        console.say(
            "Passwords and signals travel unencrypted: use --certificate and --key, or a proxy in front that speaks https."
        )
    if options.browser:
        threading.Thread(target=_open_when_up, args=(url,), daemon=True).start()
    serve(
        home,
        port=options.port,
        address=options.address,
        allowed_hosts=options.allowed_host,
        sign_in=sign_in,
        certificate=options.certificate,
        key=options.key,
    )
    return 0


def _shown(address: str) -> str:
    """Return how a browser on this machine calls an address."""
    if address in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{address}]" if ":" in address else address


def _require_files(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise RequestError("--certificate and --key belong together: give both or neither")
    for file in (certificate, key):
        if file is not None and not file.is_file():
            raise RequestError(f"{file}: there is no such file")


def _require_free(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
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
