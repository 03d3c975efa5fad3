// The caliper: a box dragged over a trace, with its duration, the frequency that is, and its amplitude.

import { element } from "./dom.js";
import { GUTTER } from "./layout.js";
import { trimmed } from "./settings.js";

const LEAST_PIXELS = 2; // less is a click with an unsteady hand

export class Caliper {
  /** `canvas` is dragged on; `rowAt(y)` returns the row under a height, `plot()` where the traces lie. */
  constructor(canvas, { rowAt, plot }) {
    this.canvas = canvas;
    this.rowAt = rowAt;
    this.plot = plot;
    this.isOn = false; // without Shift
    this.from = null;
    this.text = element("span");
    this.text.setAttribute("role", "status");
    this.root = element("div", { className: "caliper" }, [this.text]);
    this.root.hidden = true;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.end(event));
  }

  get isShown() {
    return !this.root.hidden;
  }

  toggle() {
    this.isOn = !this.isOn;
    this.canvas.classList.toggle("measuring", this.isOn);
    if (!this.isOn) this.clear();
    return this.isOn ? "Caliper on: drag over a trace to measure it. M or Esc ends it." : "Caliper off";
  }

  clear() {
    this.from = null;
    this.root.hidden = true;
  }

  begin(event) {
    if (event.button !== 0 || !(event.shiftKey || this.isOn) || event.offsetX < GUTTER) return;
    const row = this.rowAt(event.offsetY);
    this.clear();
    if (!row) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.from = { x: event.offsetX, y: event.offsetY, row };
  }

  move(event) {
    if (!this.from || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const plot = this.plot();
    const x = Math.min(Math.max(event.offsetX, plot.left), plot.left + plot.width);
    const y = Math.min(Math.max(event.offsetY, plot.top), plot.top + plot.height);
    const wide = Math.abs(x - this.from.x);
    const high = Math.abs(y - this.from.y);
    this.root.hidden = wide < LEAST_PIXELS && high < LEAST_PIXELS;
    const left = Math.min(x, this.from.x);
    const top = Math.min(y, this.from.y);
    Object.assign(this.root.style, { left: `${left}px`, top: `${top}px`, width: `${wide}px`, height: `${high}px` });
    this.text.textContent = measured(wide / plot.perSecond, high / Math.abs(this.from.row.perUnit), this.from.row.trace);
    const { offsetWidth: width, offsetHeight: height } = this.text;
    this.text.style.left = `${Math.min(0, plot.left + plot.width - left - width)}px`;
    this.text.style.top = top - height - 3 >= 0 ? `${-height - 3}px` : `${high + 3}px`;
  }

  end(event) {
    if (this.canvas.hasPointerCapture(event.pointerId)) this.canvas.releasePointerCapture(event.pointerId);
  }
}

function measured(seconds, amplitude, { label, unit }) {
  const frequency = seconds > 0 ? ` · ${trimmed(1 / seconds)} Hz` : "";
  return `${label}: ${trimmed(seconds)} s${frequency} · ${trimmed(amplitude)} ${unit || "(no unit)"}`;
}
