"""Set SleepFM Workbench up on a fresh machine and start it. Needs Python 3.11 or newer and pip, nothing else.

python start.py            set up, start the app on 127.0.0.1:8501 and open the browser
python start.py test       set up with the test tools and run the checks and tests (--long adds the long ones)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main() -> int:
    """Parse the words after `start.py` and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=("app", "test"), default="app")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--port", type=int, default=8501, help="port of the app (default: 8501)")
    parser.add_argument("--home", type=Path, help="the home folder (default: $SLEEPFM_HOME, else the user-data folder)")
    parser.add_argument("--long", action="store_true", help="with test: also the long tests")
    options, rest = parser.parse_known_args()
    if sys.version_info < (3, 11):
        print(f"Python {sys.version.split()[0]} is too old: SleepFM Workbench needs 3.11 or newer", file=sys.stderr)
        return 2
    if rest and options.action != "test":
        parser.error(f"unknown words: {' '.join(rest)}")
    testing = options.action == "test"
    set_up(ROOT / ("requirements-test.txt" if testing else "requirements.txt"))
    return run_tests(rest, long=options.long) if testing else run_app(options)


def set_up(requirements: Path) -> None:
    """Make the virtual environment hold exactly the pinned packages; does nothing when it does already."""
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(ROOT.glob("requirements*.txt")))).hexdigest()
    # the test tools include everything the app needs
    stamps = (VENV / ".installed-requirements-test.txt", VENV / f".installed-{requirements.name}")
    if PYTHON.exists() and any(stamp.exists() and stamp.read_text() == wanted for stamp in stamps):
        return
    print("Setting up (the first time this downloads several hundred MB) ...", flush=True)
    if not PYTHON.exists():
        venv.EnvBuilder(with_pip=True).create(VENV)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # torch first: with it in place, what depends on it does not bring another build
    torch = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    alone = requirements.with_stem(f"{requirements.stem}-alone")  # test tools whose own wishes contradict ours
    for words in ([torch], ["-r", str(requirements)], *([["--no-deps", "-r", str(alone)]] if alone.exists() else [])):
        code = subprocess.call([*pip, *words], cwd=ROOT)
        if code != 0:
            print("Setting up failed: see pip's message above; check the network and the free disk space", file=sys.stderr)
            sys.exit(1)
    (VENV / f".installed-{requirements.name}").write_text(wanted)


def run_app(options: argparse.Namespace) -> int:
    """Start the app and wait for its end."""
    words = [str(PYTHON), "-m", "sleepfm", "app", "--port", str(options.port), "--demo-when-empty"]
    words += [] if options.no_browser else ["--browser"]
    words += [] if options.home is None else ["--home", str(options.home.absolute())]
    try:
        return subprocess.call(words, cwd=ROOT)
    except KeyboardInterrupt:
        return 0


SIDE_BY_SIDE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
"""Test files are shared out to as many processes as there are cores; `-n 0` behind `test` runs them one after the other."""


def run_tests(rest: list[str], *, long: bool) -> int:
    """Run the checks, then the tests; the first failure among them decides the exit code."""
    marks = [] if long or "-m" in rest else ["-m", "not long"]
    types = ["mypy"]  # a minute on one core: beside the first tests, which wait for nothing on a screen
    steps = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["lint-imports"],
        ["pytest", *SIDE_BY_SIDE, "-rR", *marks, *rest],
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        beside = subprocess.Popen(command(types), cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        codes = []
        for step in steps:
            print(f"== {' '.join(step)}", flush=True)
            codes.append(subprocess.call(command(step), cwd=ROOT))
        codes.append(beside.wait())
        said.seek(0)
        print(f"== {' '.join(types)}\n{said.read()}", flush=True)
    return next((code for code in codes if code), 0)


def command(words: list[str]) -> list[str]:
    """Return the words that start one of the virtual environment's programs."""
    return [str(PYTHON.with_name(words[0])), *words[1:]]


if __name__ == "__main__":
    sys.exit(main())
