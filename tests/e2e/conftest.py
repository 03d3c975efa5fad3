"""A real app in a process of its own, and a real browser to look at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sleepfm.viewer.paging_benchmark import BROWSER_FLAGS, find_chromium

ROOT = Path(__file__).parents[2]


@dataclass
class RunningApp:
    """An app that answers."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]


def chromium() -> str:
    """Return the browser's program; without one CI fails and another machine skips."""
    found = find_chromium()
    if found is None:
        reason = "no Chromium on this machine: install the package chromium to run the browser tests"
        if os.environ.get("SLEEPFM_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(home: Path, port: int, *words: str) -> RunningApp:
    """Start `sleepfm app` and wait until it answers."""
    log = home.parent / "app.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "sleepfm", "app", "--port", str(port), "--home", str(home), *words],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return RunningApp(url, home, process)
        except OSError:
            time.sleep(0.1)
    process.kill()
    pytest.fail(f"the app did not come up:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def stop_app(app: RunningApp) -> None:
    app.process.terminate()
    try:
        app.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        app.process.kill()
        app.process.wait(timeout=10)


_ALL_TEXT = """() => {
  // what stands in the components' shadow trees too
  const lines = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE && node.textContent.trim()) lines.push(node.textContent.trim());
    if (["STYLE", "SCRIPT"].includes(node.nodeName)) return;
    if (node.shadowRoot) walk(node.shadowRoot);
    node.childNodes.forEach(walk);
  };
  walk(document.body);
  return lines.join("\\n");
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give browser tests a second try: on a loaded machine a click can meet a page that moves. The summary names each."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say what the browser showed when a test failed: on another machine that is all there is to go by."""
    report = yield
    if report.when == "call" and report.failed:
        for page in (value for value in getattr(item, "funcargs", {}).values() if hasattr(value, "inner_text")):
            try:
                shown = page.evaluate(_ALL_TEXT)
            except Exception as error:  # a page that is gone must not hide why the test failed
                shown = f"cannot be read: {error}"
            report.sections.append(("the page", f"{page.url}\n{shown[:4000]}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a test needed its second try: what failed once will fail twice one day."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"first try of {report.nodeid}")
        terminalreporter.write_line("\n".join(line for line in report.longreprtext.splitlines() if line.startswith((">", "E "))))
        terminalreporter.write_line("\n".join(text for name, text in report.sections if name == "the page")[:2000])


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Give a headless browser for the whole run."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=program, headless=True, args=list(BROWSER_FLAGS))
        yield instance
        instance.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    """Give an app with an empty library."""
    running = start_app(tmp_path / "home", free_port())
    yield running
    stop_app(running)


@pytest.fixture
def page(browser: object) -> Iterator[object]:
    """Give a fresh page at a laptop's size."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    """Give one tab for the module: Streamlit's own files are loaded once."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []
