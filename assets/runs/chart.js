// One figure of a run against steps or time: its lines, its axes, and what they are at the place that is read.

import { element, sizedContext } from "../viewer/dom.js";
import { linearTicks, logTicks, short } from "./ticks.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 32;
const DOTS_BELOW = 40; // so few points are marked, else a single one is not to be seen
const FONT = '11px "Source Sans 3", "Source Sans Pro", "Source Sans", "Segoe UI", system-ui, sans-serif';

export class Chart {
  constructor(panel, colours, { move, leave }) {
    this.panel = panel;
    this.colours = colours;
    this.canvas = element("canvas");
    this.readings = element("div", { className: "readings" });
    this.note = element("span", { className: "quiet" });
    this.box = element("div", { className: "picture" }, [this.canvas]);
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "img");
    this.root = element("section", { className: "chart", data: { panel: panel.key } }, [
      element("h4", {}, [panel.title, element("span", { className: "quiet", text: ` ${panel.unit} ` }), this.note]),
      this.readings, this.box,
    ]);
    this.box.addEventListener("pointermove", (event) => {
      const { left } = this.box.getBoundingClientRect();
      if (this.scale) move(this.scale.at(event.clientX - left));
    });
    this.box.addEventListener("pointerleave", leave);
    this.box.addEventListener("blur", leave);
    this.box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") leave();
      if (!step || !this.scale || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const { low, high } = this.scale;
      const from = this.cursor ?? high;
      move(Math.min(high, Math.max(low, from + (step * (high - low)) / (event.shiftKey ? 10 : 100))));
    });
  }

  /** Take curves: {run, part, label, x, value}. */
  set(curves) {
    this.curves = curves;
    this.read();
  }

  /** Say what each curve is at the cursor, or at its end. */
  read() {
    const spans = this.curves.map((curve) => {
      const k = this.cursor === undefined ? curve.value.length - 1 : nearest(curve.x, this.cursor);
      const swatch = element("i", { className: curve.part === "validation" ? "swatch ring" : "swatch" });
      swatch.style.setProperty("--colour", this.colours(curve));
      return element("span", { title: curve.label }, [swatch, element("span", { className: "label", text: curve.label }), element("b", { text: short(curve.value[k]) })]);
    });
    this.readings.replaceChildren(...spans);
    const said = this.curves.map((curve) => `${curve.label}: ${short(curve.value[curve.value.length - 1])}`).join(", ");
    this.box.setAttribute("aria-label", `${this.panel.title}, ${this.panel.unit}. Last: ${said}. Arrow keys read along it.`);
  }

  /** Draw with the given ends of the x axis; `log` asks for a logarithmic y axis. */
  draw({ low, high, xWords, log, cursor }) {
    this.cursor = cursor;
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || !height) return;
    const context = sizedContext(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    const y = this.axis(log, height);
    const span = high - low || 1;
    const right = width - RIGHT;
    const x = (value) => LEFT + ((value - low) / span) * (right - LEFT);
    this.scale = { low, high, at: (pixel) => Math.min(high, Math.max(low, low + ((pixel - LEFT) / (right - LEFT)) * span)) };
    this.drawAxes(context, { width, height, x, y, low, high, xWords });
    context.save();
    context.beginPath();
    context.rect(LEFT - 4, TOP - 4, right - LEFT + 8, height - TOP - BOTTOM + 8);
    context.clip();
    for (const curve of this.curves) this.drawCurve(context, curve, x, y);
    context.restore();
    if (cursor !== undefined) {
      context.strokeStyle = "#111827";
      context.globalAlpha = 0.45;
      line(context, x(cursor), TOP, x(cursor), height - BOTTOM);
      context.globalAlpha = 1;
    }
    this.read();
  }

  /** Return the y axis: its ends, its marks, and where a value lies in pixels (NaN where it cannot be drawn). */
  axis(log, height) {
    let [low, high, least] = [Infinity, -Infinity, Infinity];
    for (const { value } of this.curves) {
      for (const one of value) {
        if (one < low) low = one;
        if (one > high) high = one;
        if (one > 0 && one < least) least = one;
      }
    }
    const logarithmic = log && high > 0;
    this.note.textContent = logarithmic && low <= 0 ? "values of 0 and below are not shown" : "";
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    if (logarithmic) low = least;
    if (low === high) [low, high] = logarithmic ? [low / 1.5, high * 1.5] : [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
    const bottom = height - BOTTOM;
    const [from, to] = logarithmic ? [Math.log10(low), Math.log10(high)] : [low, high];
    const margin = 0.04 * (to - from);
    const scale = (bottom - TOP) / (to - from + 2 * margin);
    const place = (value) => bottom - ((logarithmic ? Math.log10(value) : value) - from + margin) * scale;
    const count = Math.max(3, Math.floor((bottom - TOP) / 30));
    return { place, marks: logarithmic ? logTicks(10 ** (from - margin), 10 ** (to + margin), count) : linearTicks(low - margin, high + margin, count) };
  }

  drawAxes(context, { width, height, x, y, low, high, xWords }) {
    const bottom = height - BOTTOM;
    context.font = FONT;
    context.lineWidth = 1;
    context.fillStyle = "#4a5563";
    context.strokeStyle = "#e6e9ee";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const mark of y.marks) {
      const place = Math.round(y.place(mark)) + 0.5;
      line(context, LEFT, place, width - RIGHT, place);
      context.fillText(short(mark), LEFT - 6, place);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const mark of linearTicks(low, high, Math.max(2, Math.floor((width - LEFT) / 70)))) {
      const place = Math.round(x(mark)) + 0.5;
      line(context, place, TOP, place, bottom);
      context.fillText(short(mark), place, bottom + 4);
    }
    context.strokeStyle = "#7d8896";
    line(context, LEFT + 0.5, TOP, LEFT + 0.5, bottom);
    line(context, LEFT, bottom + 0.5, width - RIGHT, bottom + 0.5);
    context.fillText(xWords, (LEFT + width - RIGHT) / 2, bottom + 18);
  }

  drawCurve(context, curve, x, y) {
    const { x: xs, value } = curve;
    const validation = curve.part === "validation";
    context.strokeStyle = this.colours(curve);
    context.fillStyle = validation ? "#ffffff" : this.colours(curve);
    context.lineWidth = validation ? 2 : 1.3;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    for (let k = 0; k < value.length; k += 1) {
      const place = y.place(value[k]);
      if (!Number.isFinite(place)) {
        pen = false;
        continue;
      }
      if (pen) context.lineTo(x(xs[k]), place);
      else context.moveTo(x(xs[k]), place);
      pen = true;
    }
    context.stroke();
    if (value.length > DOTS_BELOW) return;
    for (let k = 0; k < value.length; k += 1) {
      const place = y.place(value[k]);
      if (!Number.isFinite(place)) continue;
      context.beginPath();
      context.arc(x(xs[k]), place, validation ? 3 : 2, 0, 2 * Math.PI);
      context.fill();
      if (validation) context.stroke();
    }
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Return the index of the value nearest to `wanted` in a rising array. */
function nearest(rising, wanted) {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - rising[low - 1] < rising[low] - wanted ? low - 1 : low;
}
