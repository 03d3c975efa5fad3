// The curves of one run or of several: fetched thinned, asked for again while a run goes on, drawn anew without being mounted anew.

import { element, fetchChecked } from "../viewer/dom.js";
import { mounting } from "../viewer/mounting.js";
import { Chart } from "./chart.js";
import { unpack } from "./packet.js";

const AGAIN_MS = 1000;
const LATER_MS = 5000; // after a failure
const TIMES = [[2 * 3600, 3600, "hours"], [120, 60, "minutes"], [0, 1, "seconds"]];

export const mount = mounting((parent) => new Curves(parent));

class Curves {
  constructor(parent) {
    this.visit = 0;
    this.axis = "step";
    this.log = false;
    this.all = false;
    this.charts = new Map();
    this.notice = element("div", { className: "notice", text: "Loading the curves …" });
    this.notice.setAttribute("role", "status");
    this.legend = element("span", { className: "legend" });
    this.remarks = element("div", { className: "remarks" });
    this.grid = element("div", { className: "grid" });
    this.root = element("div", { className: "curves", data: { sleepfm: "curves", points: "0" } }, [
      this.makeToolbar(), this.remarks, this.notice, this.grid,
    ]);
    parent.append(this.root);
    this.resize = new ResizeObserver(() => this.layout());
    this.resize.observe(this.grid);
    this.onShown = () => { if (!document.hidden && this.open) this.fetch(); };
    document.addEventListener("visibilitychange", this.onShown);
  }

  close() {
    clearTimeout(this.timer);
    this.fetching?.abort();
    this.resize.disconnect();
    document.removeEventListener("visibilitychange", this.onShown);
    this.root.remove();
  }

  makeToolbar() {
    const button = (text, title, act) => {
      const made = element("button", { text, title, on: { click: act } });
      made.type = "button";
      return made;
    };
    this.buttons = {
      step: button("Steps", "Against the optimiser's steps", () => this.choose({ axis: "step" })),
      seconds: button("Time", "Against the time since the run's first step, pauses included", () => this.choose({ axis: "seconds" })),
      log: button("Log scale", "Logarithmic vertical axes", () => this.choose({ log: !this.log })),
      all: button("All figures", "Everything that the run has written down", () => this.choose({ all: !this.all })),
    };
    const axes = element("span", { className: "group" }, [this.buttons.step, this.buttons.seconds]);
    axes.setAttribute("role", "group");
    axes.setAttribute("aria-label", "Horizontal axis");
    const toolbar = element("div", { className: "toolbar" }, [axes, this.buttons.log, this.buttons.all, this.legend]);
    this.mark();
    return toolbar;
  }

  mark() {
    const on = { step: this.axis === "step", seconds: this.axis === "seconds", log: this.log, all: this.all };
    for (const [name, button] of Object.entries(this.buttons)) {
      button.classList.toggle("on", on[name]);
      button.setAttribute("aria-pressed", String(on[name]));
    }
  }

  choose(change) {
    const fetches = "all" in change;
    Object.assign(this, change);
    this.cursor = undefined;
    this.mark();
    if (fetches) {
      this.version = null;
      this.fetch();
    } else if (this.packet) this.show();
  }

  /** Take over new data from Python; returns the number of this visit. */
  update({ data }) {
    this.visit += 1;
    const before = this.data;
    this.data = data;
    if (before?.address !== data.address) {
      this.version = null;
      this.packet = null;
      this.grid.replaceChildren();
      this.charts.clear();
      this.say("Loading the curves …");
    }
    if (before?.address !== data.address || before.stamp !== data.stamp) this.fetch();
    return this.visit;
  }

  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  sayWhatLacks() {
    this.say(this.charts.size ? "" : this.data.nothing);
  }

  async fetch() {
    clearTimeout(this.timer);
    this.fetching?.abort();
    const fetching = new AbortController();
    this.fetching = fetching;
    const asked = { points: String(this.pixels()), all: this.all ? "1" : "0", have: this.version ?? "" };
    const started = performance.now();
    try {
      const response = await fetchChecked(`${this.data.address}&${new URLSearchParams(asked)}`, fetching.signal);
      if (response.status !== 204) {
        this.packet = unpack(await response.arrayBuffer());
        this.version = this.packet.version;
        this.open = this.packet.open;
        this.show();
        this.root.dataset.updated = String(performance.now() - started);
      } else this.sayWhatLacks();
      if (this.open && !document.hidden) this.timer = setTimeout(() => this.fetch(), AGAIN_MS);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.say(error.message); // the pictures stay as they are
      this.timer = setTimeout(() => this.fetch(), LATER_MS);
    }
  }

  pixels() {
    const width = this.charts.values().next().value?.box.clientWidth || this.grid.clientWidth / 3;
    return Math.min(2000, Math.max(200, Math.round(width)));
  }

  /** Bring the charts up to what was fetched, and draw them. */
  show() {
    const { packet, axis } = this;
    const compared = packet.runs.length > 1;
    this.legend.replaceChildren(...(compared ? packet.runs.map((run, k) => {
      const swatch = element("i", { className: "swatch" });
      swatch.style.setProperty("--colour", this.data.colours[k]);
      return element("span", { title: run.id }, [swatch, run.name]);
    }) : []));
    this.remarks.replaceChildren(...packet.runs.flatMap((run) => run.remarks.map((text) => element("p", { text: compared ? `${run.name}: ${text}` : text }))));
    const longest = Math.max(0, ...packet.curves.map((curve) => (curve.n ? curve.seconds[curve.n - 1] : 0)));
    const [, unit, unitWords] = TIMES.find(([from]) => longest >= from);
    this.xWords = axis === "step" ? "step" : `${unitWords} since the first step`;
    const x = (curve) => (axis === "step" ? curve.step : curve.seconds.map((one) => one / unit));
    const byPanel = new Map(packet.panels.map((panel) => [panel.key, []]));
    let [low, high, points, last] = [Infinity, -Infinity, 0, 0];
    for (const curve of packet.curves) {
      if (!curve.n) continue;
      const xs = x(curve);
      low = Math.min(low, xs[0]);
      high = Math.max(high, xs[curve.n - 1]);
      points += curve.n;
      last = Math.max(last, curve.step[curve.n - 1]);
      const part = curve.part || "value";
      byPanel.get(curve.panel).push({ ...curve, x: xs, label: compared ? `${packet.runs[curve.run].name}, ${part}` : part });
    }
    this.ends = Number.isFinite(low) ? { low, high } : { low: 0, high: 1 };
    this.root.classList.toggle("compared", compared);
    const shown = packet.panels.filter((panel) => byPanel.get(panel.key).length);
    for (const panel of shown) {
      if (!this.charts.has(panel.key)) {
        this.charts.set(panel.key, new Chart(panel, (curve) => this.colour(curve), {
          move: (place) => { this.cursor = place; this.redrawSoon(); },
          leave: () => { this.cursor = undefined; this.redrawSoon(); },
        }));
      }
      this.charts.get(panel.key).set(byPanel.get(panel.key));
    }
    const roots = shown.map((panel) => this.charts.get(panel.key).root);
    const keys = new Set(shown.map((panel) => panel.key));
    for (const key of [...this.charts.keys()]) if (!keys.has(key)) this.charts.delete(key);
    // moving a focused chart would take the focus from it
    if (roots.length !== this.grid.children.length || roots.some((root, k) => this.grid.children[k] !== root)) this.grid.replaceChildren(...roots);
    this.sayWhatLacks();
    this.redraw();
    Object.assign(this.root.dataset, { points: String(points), step: String(last), panels: String(shown.length), version: packet.version });
  }

  colour(curve) {
    if (this.packet.runs.length > 1) return this.data.colours[curve.run];
    return curve.part === "validation" ? this.data.validation : this.data.colours[0];
  }

  redraw() {
    if (!this.packet) return;
    const started = performance.now();
    const { ends, xWords, log, cursor } = this;
    for (const chart of this.charts.values()) chart.draw({ ...ends, xWords, log, cursor });
    this.root.dataset.drawn = String(performance.now() - started);
  }

  redrawSoon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.redraw();
    });
  }

  layout() {
    if (this.grid.clientWidth === this.width) return;
    this.width = this.grid.clientWidth;
    this.redrawSoon();
  }
}
