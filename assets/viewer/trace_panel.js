// The traces: lays the rows out, asks for their windows, draws them, and shows what is to be said about them.

import { Caliper } from "./caliper.js";
import { clockText, elapsedText, tickStep } from "./clock.js";
import { element, sizedContext } from "./dom.js";
import { FONT, GUTTER, RIGHT } from "./layout.js";
import { drawLabels, drawReferenceLines, drawTrace } from "./trace_rows.js";
import { trimmed } from "./settings.js";
import { GAP } from "./trace_store.js";

const AXIS = 32;
const TOP = 6;
const MIN_ROW = 16;
const MESSAGE_MS = 2600;
const MAX_BINS = 4096;
const LONG_VIEW_S = 600; // beyond, a trace is a band that would hide its neighbours
const SHARES = { EEG: 1.35, EOG: 1.35 };

export class TracePanel {
  constructor(settings, act) {
    this.settings = settings;
    this.act = act;
    this.canvas = element("canvas");
    this.toast = element("div", { className: "toast" });
    this.toast.setAttribute("role", "status");
    this.spinner = element("div", { className: "busy", text: "Loading …" });
    this.notice = element("div", { className: "notice" });
    this.unfocused = element("div", { className: "unfocused", text: "Click here to use the keys" });
    this.caliper = new Caliper(this.canvas, { rowAt: (y) => this.rowAt(y), plot: () => this.plot });
    this.root = element("div", { className: "panel" }, [this.canvas, this.caliper.root, this.spinner, this.toast, this.unfocused, this.notice]);
    this.spinner.hidden = true;
    this.notice.hidden = true;
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.canvas.addEventListener("pointermove", (event) => this.describe(event));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.drawn = null;
    this.events = null; // an EventLayer sets itself here
  }

  open(night, theme) {
    this.night = night;
    this.theme = theme;
    this.notice.hidden = true;
    this.drawn = null;
  }

  /** Measure; true when something that is drawn has to be drawn anew. */
  relayout() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const changed = width !== this.width || height !== this.height;
    this.width = width;
    this.height = height;
    return changed;
  }

  get plotWidth() {
    return Math.max(50, this.width - GUTTER - RIGHT);
  }

  get plotHeight() {
    return Math.max(MIN_ROW, this.height - AXIS - this.plotTop);
  }

  get plotTop() {
    return Math.max(TOP, 2 + (this.events?.stripHeight() ?? 0));
  }

  /** Whether rows would have to be scrolled even with nothing above them. */
  overflows(rows) {
    return rows.length * MIN_ROW > this.height - AXIS - TOP;
  }

  rowsThatFit() {
    return Math.max(1, Math.floor(this.plotHeight / MIN_ROW));
  }

  maxScroll() {
    return Math.max(0, this.settings.montageTraces().length - this.rowsThatFit());
  }

  visible() {
    const first = Math.min(this.settings.scroll, this.maxScroll());
    return this.settings.montageTraces().slice(first, first + this.rowsThatFit());
  }

  /** Where the window that shows a view is fetched. */
  request(route, study, view) {
    const ratio = window.devicePixelRatio || 1;
    const bins = Math.min(MAX_BINS, Math.max(16, Math.round(this.plotWidth * ratio)));
    const traces = this.visible().map((trace) => {
      const { high, low, notch } = this.settings.filter(trace);
      return [trace.key, high ?? "", low ?? "", notch ?? ""].join("_");
    });
    const query = new URLSearchParams({ study, start: view.start, stop: view.stop, bins, traces: traces.join("~") });
    return `${route}?${query}`;
  }

  draw(epoch, view, windows) {
    const rows = this.visible().map((trace, index) => ({ trace, window: windows[index] }));
    this.drawn = { epoch, view, rows };
    this.paint();
    this.caliper.clear(); // what it measured is no longer there
  }

  /** Draw the same stretch of time again: something that lies over it has changed. */
  redraw() {
    if (this.drawn) this.paint();
  }

  /** The same with the next frame, unless that draws another stretch of time anyway. */
  redrawSoon() {
    this.soon ??= requestAnimationFrame(() => {
      this.soon = null;
      this.redraw();
    });
  }

  paint() {
    cancelAnimationFrame(this.soon);
    this.soon = null;
    const { epoch, view, rows } = this.drawn;
    this.notice.hidden = true;
    const context = sizedContext(this.canvas, this.width, this.height, { alpha: false });
    const plot = { left: GUTTER, top: this.plotTop, width: this.plotWidth, height: this.plotHeight, perSecond: this.plotWidth / (view.stop - view.start), start: view.start };
    const placed = this.placeRows(rows, plot);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.width, this.height);
    this.drawTime(context, plot, view, epoch);
    if (this.settings.grid) for (const row of placed) drawReferenceLines(context, row, plot, this.theme);
    this.placed = placed;
    this.plot = plot;
    this.events?.drawBelow(context, plot, view, placed);
    context.save();
    context.beginPath();
    context.rect(plot.left, 0, plot.width, plot.top + plot.height);
    context.clip();
    for (const row of placed) {
      if (view.stop - view.start > LONG_VIEW_S) drawWithin(context, row, plot);
      else drawTrace(context, row, plot);
    }
    context.restore();
    this.drawEpochMark(context, plot, view, epoch);
    this.events?.drawAbove(context);
    this.drawGapNames(context, plot, view);
    for (const row of placed) drawLabels(context, row, plot, this.theme, row.trace.key === this.settings.selected);
    this.drawHidden(context);
  }

  /** Give each row its share of the height: brain and eyes need more of it than a saturation. */
  placeRows(rows, plot) {
    const shares = rows.map(({ trace }) => SHARES[trace.kind] ?? (trace.scale.centre === 0 ? 1 : 0.85));
    const perShare = plot.height / shares.reduce((sum, share) => sum + share, 0);
    let top = plot.top;
    return rows.map((row, index) => {
      const pitch = shares[index] * perShare;
      top += pitch;
      return this.place(row, top - pitch / 2, pitch);
    });
  }

  place({ trace, window }, middle, pitch) {
    const { per_lane: perLane, centre } = this.settings.scale(trace);
    const perUnit = (this.settings.sign(trace) * pitch) / perLane;
    const colour = this.theme.traces[trace.kind] ?? this.theme.otherTrace;
    return { trace, window, middle, pitch, perLane, centre, perUnit, colour, filterText: this.settings.filterText(trace) };
  }

  drawTime(context, plot, view, epoch) {
    const { theme, night } = this;
    const span = view.stop - view.start;
    const bottom = plot.top + plot.height;
    const at = (seconds) => plot.left + (seconds - view.start) * plot.perSecond;
    if (span > 30) {
      context.fillStyle = theme.epochBand;
      context.fillRect(at((epoch - 1) * 30), plot.top, 30 * plot.perSecond, plot.height);
    }
    context.fillStyle = theme.gap;
    for (const [from, to] of this.empty(view)) context.fillRect(at(from), plot.top, (to - from) * plot.perSecond, plot.height);
    if (this.settings.grid) {
      const strong = span <= 60 ? 5 : tickStep(span, plot.width, 60);
      const fine = span <= 60 ? 1 : 0;
      for (const [step, colour] of [[fine, theme.grid], [strong, theme.gridStrong]]) {
        if (!step) continue;
        context.fillStyle = colour;
        for (let t = Math.ceil(view.start / step) * step; t <= view.stop; t += step) context.fillRect(Math.round(at(t)), plot.top, 1, plot.height);
      }
    }
    context.fillStyle = theme.gridStrong;
    context.fillRect(plot.left, bottom, plot.width, 1);
    // clock above, elapsed below, at the same ticks, which lie on round elapsed times (epochs start at elapsed times)
    const step = tickStep(span, plot.width, 76);
    context.textBaseline = "alphabetic";
    const withSeconds = step < 60;
    for (let t = Math.ceil(view.start / step) * step; t <= view.stop + 1e-6; t += step) {
      const x = at(t);
      context.fillStyle = theme.quietInk;
      context.fillRect(Math.round(x), bottom, 1, 4);
      const text = clockText(night.start, t, { withSeconds: withSeconds || !night.start });
      context.font = `11px ${FONT}`;
      context.textAlign = x < plot.left + 24 ? "left" : x > plot.left + plot.width - 24 ? "right" : "center";
      context.fillStyle = theme.ink;
      context.fillText(text, x, bottom + 15);
      if (night.start) {
        context.font = `10px ${FONT}`;
        context.fillStyle = theme.quietInk;
        context.fillText(elapsedText(t), x, bottom + 27);
      }
    }
    context.textAlign = "right";
    context.font = `10px ${FONT}`;
    context.fillStyle = theme.quietInk;
    context.fillText(night.start ? "clock" : "elapsed", plot.left - 8, bottom + 15);
    if (night.start) context.fillText("elapsed", plot.left - 8, bottom + 27);
  }

  /** Where the epoch lies when its band is too narrow to be seen. */
  drawEpochMark(context, plot, view, epoch) {
    if (30 * plot.perSecond >= 4) return;
    context.fillStyle = this.theme.cursor;
    context.fillRect(Math.round(plot.left + ((epoch - 0.5) * 30 - view.start) * plot.perSecond) - 1, plot.top, 2, plot.height);
  }

  /** Stretches of the view without signal: gaps, and what lies beyond the recording. */
  empty(view) {
    const all = [...this.night.gaps, [this.night.duration_s, Infinity], [-Infinity, 0]];
    return all.map(([from, to]) => [Math.max(from, view.start), Math.min(to, view.stop)]).filter(([from, to]) => to > from);
  }

  drawGapNames(context, plot, view) {
    context.font = `11px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const [from, to] of this.empty(view)) {
      const width = (to - from) * plot.perSecond;
      const name = from >= this.night.duration_s ? "end of the recording" : "gap";
      if (width < context.measureText(name).width + 6) continue;
      context.fillStyle = this.theme.quietInk;
      context.fillText(name, plot.left + ((from + to) / 2 - view.start) * plot.perSecond, plot.top + plot.height / 2);
    }
  }

  drawHidden(context) {
    const hidden = this.maxScroll();
    if (!hidden) return;
    const total = this.settings.montageTraces().length;
    const first = Math.min(this.settings.scroll, hidden);
    context.font = `10px ${FONT}`;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillStyle = this.theme.quietInk;
    context.fillText(`${first + 1}–${first + this.rowsThatFit()} of ${total} ↑↓`, 4, this.height - 4);
  }

  /** Smallest and largest value of a trace on the screen. */
  visibleRange(key) {
    const row = this.drawn?.rows.find(({ trace }) => trace.key === key);
    if (!row) return null;
    let low = Infinity;
    let high = -Infinity;
    for (const code of row.window.codes) {
      if (code === GAP) continue;
      if (code < low) low = code;
      if (code > high) high = code;
    }
    return low > high ? null : [row.window.offset + row.window.scale * low, row.window.offset + row.window.scale * high];
  }

  rowAt(y) {
    return this.placed?.find(({ middle, pitch }) => Math.abs(y - middle) <= pitch / 2);
  }

  /** What a channel is, where its name stands; what an event is, where it lies. */
  describe(event) {
    const row = event.offsetX <= GUTTER ? this.rowAt(event.offsetY) : null;
    const said = row ? this.describeRow(row) : (this.events?.describe(event) ?? "");
    if (this.canvas.title !== said) this.canvas.title = said;
  }

  describeRow({ trace, filterText }) {
    const unit = trace.unit || "the file gives no unit (a.u.: arbitrary units)";
    const lines = [`${trace.label}: ${trace.kind}, ${trimmed(trace.rate_hz)} Hz, ${unit}`, `${this.settings.scaleText(trace)}, ${filterText}`];
    if (trace.channels.length > 1) lines.push(`${trace.channels[0]} minus ${trace.channels.slice(1).join(" and ")}`);
    return [...lines, "Click to select it: gain, fit and polarity then act on it alone."].join("\n");
  }

  /** Take the caliper away; false when there was none. */
  endCaliper() {
    const was = this.caliper.isShown || this.caliper.isOn;
    if (this.caliper.isShown) this.caliper.clear();
    else if (this.caliper.isOn) this.say(this.caliper.toggle());
    return was;
  }

  click(event) {
    if (!this.placed || event.offsetX > GUTTER) return;
    const row = this.rowAt(event.offsetY);
    if (!row) return;
    this.select(row.trace.key === this.settings.selected ? null : row.trace);
  }

  select(trace) {
    if (!trace && this.settings.selected === null) return;
    this.settings.selected = trace ? trace.key : null;
    this.act({ change: "none" });
    if (trace) this.say(`${trace.label}: ${this.settings.scaleText(trace)}, ${this.settings.filterText(trace)}. + − A P act on it alone; Esc lets it go.`);
  }

  wheel(event) {
    if (!this.maxScroll()) return;
    event.preventDefault();
    this.act({ change: "scroll", value: event.deltaY > 0 ? 2 : -2 });
  }

  say(text) {
    this.toast.textContent = text;
    this.toast.classList.add("shown");
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.toast.classList.remove("shown"), MESSAGE_MS);
  }

  busy(isBusy) {
    this.spinner.hidden = !isBusy;
  }

  /** Say instead of traces what is the matter; `retry` offers to try again. */
  message(text, retry) {
    this.drawn = null;
    this.notice.replaceChildren(element("p", { text }));
    if (retry) this.notice.append(element("button", { text: "Try again", on: { click: retry } }));
    this.notice.hidden = false;
  }
}

/** Draw a trace within its own row. */
function drawWithin(context, row, plot) {
  context.save();
  context.beginPath();
  context.rect(plot.left, row.middle - row.pitch / 2, plot.width, row.pitch - 1);
  context.clip();
  drawTrace(context, row, plot);
  context.restore();
}
