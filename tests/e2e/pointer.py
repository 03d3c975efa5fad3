"""The pointer over the traces: where a channel and a moment are on the page, and dragging there."""

from __future__ import annotations

from typing import Any

CANVAS = '[data-sleepfm="viewer"] .panel canvas'
LEFT, RIGHT = 144, 12  # pixels beside the plot
SPAN = 300.0  # seconds on the screen, from the recording's start


def row_of(page: Any, label: str) -> float:
    """Return the height at which a channel is drawn: where the gutter says that it is its name."""
    y: float | None = page.locator(CANVAS).evaluate(
        """(canvas, label) => {
          const { left, top, height } = canvas.getBoundingClientRect();
          for (let y = 8; y < height - 30; y += 4) {
            canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: left + 20, clientY: top + y }));
            if (canvas.title.startsWith(`${label}:`)) return y + 6;
          }
          return null;
        }""",
        label,
    )
    assert y is not None, f"{label} is not on the screen"
    return y


def place(page: Any, seconds: float, y: float) -> tuple[float, float]:
    """Return where a time within the first five minutes is on the page."""
    box = page.locator(CANVAS).bounding_box()
    return box["x"] + LEFT + seconds / SPAN * (box["width"] - LEFT - RIGHT), box["y"] + y


def drag(page: Any, y: float, start: float, stop: float, *, release: bool = True) -> None:
    """Drag along a channel's row."""
    page.mouse.move(*place(page, start, y))
    page.mouse.down()
    page.mouse.move(*place(page, stop, y), steps=4)
    if release:
        page.mouse.up()
