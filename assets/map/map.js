// The map of a cohort: every point a night or a window. It fetches the places once and a small array for each colouring; what is
// selected goes to the server as a line, as groups or as a range, never as a list of points.

import { element, fetchChecked } from "../viewer/dom.js";
import { Legend } from "./legend.js";
import { Painter } from "./painter.js";
import { download, picture } from "./picture.js";
import { Column, Points } from "./points.js";
import { View } from "./view.js";
import { mounting } from "../viewer/mounting.js";

const REACH = 10; // pixels around the pointer
const COLUMNS_KEPT = 8;
const STEP = 60; // pixels an arrow key moves the map
const LINE_STEP = 4; // pixels between two corners of a lasso
const MOST_CORNERS = 1500;
const LEAST_HEIGHT = 340;
const HEIGHT_SHARE = 0.57; // of the window: the choices stand above, the selection begins below

export const mount = mounting((parent) => new CohortMap(parent));

class CohortMap {
  constructor(parent) {
    this.visit = 0;
    this.view = new View();
    this.canvas = element("canvas", { className: "points" });
    this.line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.line.setAttribute("class", "line-drawn");
    this.path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    this.line.append(this.path);
    this.tooltip = element("div", { className: "tooltip" });
    this.tooltip.hidden = true;
    this.notice = element("div", { className: "notice", text: "Loading the map …" });
    this.notice.setAttribute("role", "status");
    this.axisX = element("div", { className: "axis x" });
    this.axisY = element("div", { className: "axis y" });
    this.stage = element("div", { className: "stage" }, [this.canvas, this.line, this.axisX, this.axisY, this.tooltip, this.notice]);
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", "Map. Arrow keys move it, + and − zoom, 0 shows all of it, L lasso, A selects what is in "
      + "view, Escape clears the selection. Groups can be selected in the legend.");
    this.legend = new Legend((selection) => this.select(selection), (key) => this.choose(key));
    this.toolbar = this.makeToolbar();
    this.root = element("div", { className: "map", data: { sleepfm: "map", selected: "0" } }, [
      this.toolbar, element("div", { className: "row" }, [this.stage, this.legend.root]),
    ]);
    parent.append(this.root);
    this.painter = new Painter(this.canvas);
    this.listen();
    this.resize = new ResizeObserver(() => this.layout());
    this.resize.observe(this.stage);
    this.onWindowResize = () => this.fitHeight();
    window.addEventListener("resize", this.onWindowResize);
  }

  close() {
    this.resize.disconnect();
    window.removeEventListener("resize", this.onWindowResize);
    this.fetching?.abort();
    this.root.remove();
  }

  makeToolbar() {
    const button = (text, title, act) => {
      const made = element("button", { text, title, on: { click: act } });
      made.type = "button";
      return made;
    };
    this.moveButton = button("Move", "Drag moves the map (Shift and drag: lasso)", () => this.setMode("move"));
    this.lassoButton = button("Lasso", "Drag draws a line around what is to be selected (L)", () => this.setMode("lasso"));
    const inView = button("Select all in view", "Everything that the picture shows (A)", () => this.selectView());
    this.clearButton = button("Clear", "Nothing selected (Escape)", () => this.select(null));
    this.counts = element("span", { className: "counts" });
    this.counts.setAttribute("role", "status");
    const zoom = element("span", { className: "group" }, [
      button("−", "Smaller", () => this.zoom(1 / 1.5)), button("+", "Larger", () => this.zoom(1.5)),
      button("Whole map", "All points (0)", () => { this.view.whole(); this.redraw(); }),
    ]);
    const modes = element("span", { className: "group" }, [this.moveButton, this.lassoButton]);
    const keep = button("PNG", "Keep what the picture shows, with its legend", () => this.keepPicture());
    return element("div", { className: "toolbar" }, [modes, zoom, inView, this.clearButton, keep, this.counts]);
  }

  setMode(mode) {
    this.mode = mode;
    for (const [name, button] of [["move", this.moveButton], ["lasso", this.lassoButton]]) {
      button.classList.toggle("on", mode === name);
      button.setAttribute("aria-pressed", String(mode === name));
    }
    this.stage.classList.toggle("lasso", mode === "lasso");
  }

  keepPicture() {
    if (!this.column) return;
    const { axes, name, note, offered } = this.data;
    const title = offered.find(({ key }) => key === this.column.key)?.title ?? "";
    download(picture(this.canvas, axes, this.column, title, note), `${name}.png`);
  }

  /** Take over new data from Python; returns the number of this visit. */
  update({ data, setStateValue, setTriggerValue }) {
    this.visit += 1;
    this.setStateValue = setStateValue;
    this.setTriggerValue = setTriggerValue;
    const before = this.data;
    this.data = data;
    this.fitHeight();
    this.axisX.textContent = data.axes[0] ?? "";
    this.axisY.textContent = data.axes[1] ?? "";
    if (!this.mode) this.setMode("move");
    if (before?.places !== data.places) {
      this.columnKey = data.column;
      this.open(data.selection);
    } else if (this.columnKey !== data.column && before.column !== data.column) this.recolour(data.column);
    else if (this.columnKey === data.column && this.column && this.column.digest !== data.digest) this.recolour(data.column);
    this.legend.offer(data.offered, this.columnKey);
    return this.visit;
  }

  async open(selection) {
    this.fetching?.abort();
    this.fetching = new AbortController();
    const { places } = this.data;
    this.points = null;
    this.mask = null;
    this.columns = new Map();
    this.say("Loading the map …");
    try {
      const buffer = await (await fetchChecked(places, this.fetching.signal)).arrayBuffer();
      if (this.data.places !== places) return;
      this.points = new Points(buffer);
      this.view.fit(this.points.bounds);
      this.painter.lastShown = this.points.n;
      this.root.dataset.points = String(this.points.n);
      await this.recolour(this.columnKey);
      if (selection) await this.select(selection);
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
  }

  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  async fetchColumn(key) {
    const { data } = this;
    let column = this.columns.get(key);
    if (!column || (key === data.column && column.digest !== data.digest)) {
      const address = `${data.columns}&column=${encodeURIComponent(key)}`;
      column = new Column(await (await fetchChecked(address, this.fetching.signal)).arrayBuffer(), this.points);
      if (this.columns.size >= COLUMNS_KEPT) this.columns.delete(this.columns.keys().next().value);
      this.columns.set(key, column);
    }
    return column;
  }

  async recolour(key) {
    this.columnKey = key;
    if (!this.points) return;
    try {
      const column = await this.fetchColumn(key);
      if (this.columnKey !== key || column.points !== this.points) return;
      this.column = column;
      this.legend.open(column, this.data.unit);
      this.say("");
      this.refresh();
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
  }

  /** Another colour was chosen: the map has it at once, the page after it. */
  async choose(key) {
    await this.recolour(key);
    this.setStateValue("column", key);
  }

  /** Colours, counts and picture anew: the column or the selection has changed. */
  refresh() {
    const started = performance.now();
    this.painter.colour(this.points, this.column, this.mask);
    const selected = this.legend.count(this.mask, this.selection);
    const all = `${this.points.n.toLocaleString("en")} ${this.data.unit}`;
    this.counts.textContent = this.mask ? `${selected.toLocaleString("en")} of ${all} selected` : all;
    this.clearButton.disabled = !this.mask;
    this.redraw();
    Object.assign(this.root.dataset, { selected: String(selected), colour: this.column.key, took: String(performance.now() - started) });
  }

  redraw() {
    if (!this.points || !this.column) return;
    const started = performance.now();
    this.root.dataset.shown = String(this.painter.draw(this.points, this.view));
    this.root.dataset.drawn = String(performance.now() - started);
  }

  redrawSoon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.redraw();
    });
  }

  fitHeight() {
    const height = `${Math.round(Math.max(LEAST_HEIGHT, HEIGHT_SHARE * window.innerHeight))}px`;
    this.stage.style.height = height;
    this.legend.root.style.maxHeight = height;
  }

  layout() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height || (width === this.view.width && height === this.view.height)) return;
    this.view.resize(width, height);
    this.painter.resize(width, height, window.devicePixelRatio || 1);
    this.redraw();
  }

  zoom(factor, x, y) {
    this.view.zoom(factor, x, y);
    this.redrawSoon();
  }

  // selecting

  /** Select what a description says, and tell the server of it. */
  async select(selection) {
    if (!this.points) return;
    try {
      this.mask = await this.maskOf(selection);
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
      return;
    }
    this.selection = selection;
    this.refresh();
    this.setStateValue("selection", selection && { ...selection, map: this.data.places });
  }

  async maskOf(selection) {
    if (!selection) return null;
    if (selection.kind === "lasso") return this.points.inside(selection.polygon);
    const column = await this.fetchColumn(selection.column);
    if (selection.kind === "range") {
      // in single precision, as the values are: 55.61 as it was typed is the 55.61 of the table
      const [low, high] = [Math.fround(selection.low), Math.fround(selection.high)];
      return column.matching((value) => value >= low && value <= high);
    }
    if (!column.isGroups) return column.matching((value) => Number.isNaN(value));
    const codes = new Set(selection.labels.map((label) => (label === null ? -1 : column.codeOf(label))));
    return column.matching((value) => codes.has(value));
  }

  selectView() {
    if (this.points) this.select({ kind: "lasso", polygon: this.view.corners() });
  }

  // the mouse

  listen() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    stage.addEventListener("pointerup", (event) => this.release(event));
    stage.addEventListener("pointercancel", () => this.cancelLine());
    stage.addEventListener("pointerleave", () => { this.tooltip.hidden = true; });
    stage.addEventListener("dblclick", (event) => this.openStudy(event));
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = this.at(event);
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), x, y);
    }, { passive: false });
    stage.addEventListener("keydown", (event) => this.pressed(event));
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  press(event) {
    if (event.button !== 0 || !this.points) return;
    this.stage.setPointerCapture(event.pointerId);
    const here = this.at(event);
    if (this.mode === "lasso" || event.shiftKey) {
      this.corners = [here];
      this.drawLine();
    } else this.grip = here;
    this.tooltip.hidden = true;
  }

  drag(event) {
    const here = this.at(event);
    if (this.corners) {
      const last = this.corners[this.corners.length - 1];
      if (Math.hypot(here.x - last.x, here.y - last.y) >= LINE_STEP && this.corners.length < MOST_CORNERS) this.corners.push(here);
      this.drawLine();
    } else if (this.grip) {
      this.view.pan(here.x - this.grip.x, here.y - this.grip.y);
      this.grip = here;
      this.redrawSoon();
    } else this.hover(here);
  }

  release(event) {
    const { corners } = this;
    this.grip = null;
    this.cancelLine();
    if (!corners || corners.length < 3) return;
    corners.push(this.at(event));
    this.select({ kind: "lasso", polygon: corners.map(({ x, y }) => [this.view.dataX(x), this.view.dataY(y)]) });
  }

  cancelLine() {
    this.corners = null;
    this.path.removeAttribute("d");
  }

  drawLine() {
    this.path.setAttribute("d", `M${this.corners.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`);
  }

  hover({ x, y }) {
    if (!this.points || !this.column) return;
    const started = performance.now();
    const row = this.points.nearest(this.view, x, y, REACH);
    this.tooltip.hidden = row < 0;
    if (row >= 0) {
      const { data, points, column } = this;
      const lines = [points.studies[points.study[row]]];
      if (data.windowSeconds) {
        const start = points.windowNumber(row) * data.windowSeconds;
        lines.push(`${clock(start)} to ${clock(start + data.windowSeconds)} from the start`);
      }
      lines.push(`${column.title}: ${column.words(row)}`);
      if (points.placed(row)) lines.push("placed on the map, not fitted");
      if (this.mask) lines.push(this.mask[row] ? "selected" : "not selected");
      this.tooltip.replaceChildren(...lines.map((text, k) => element("div", { text, className: k ? "" : "study" })));
      const left = Math.min(x + 14, this.view.width - this.tooltip.offsetWidth - 4);
      this.tooltip.style.transform = `translate(${Math.max(4, left)}px, ${Math.min(y + 14, this.view.height - this.tooltip.offsetHeight - 4)}px)`;
    }
    this.root.dataset.hovered = String(performance.now() - started);
  }

  openStudy(event) {
    const { x, y } = this.at(event);
    const row = this.points?.nearest(this.view, x, y, REACH) ?? -1;
    if (row < 0) return;
    const seconds = this.points.windowNumber(row) * this.data.windowSeconds;
    this.setTriggerValue("opened", { study: this.points.studies[this.points.study[row]], seconds });
  }

  // the keyboard

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.points) return;
    const act = {
      ArrowLeft: () => this.view.pan(STEP, 0),
      ArrowRight: () => this.view.pan(-STEP, 0),
      ArrowUp: () => this.view.pan(0, STEP),
      ArrowDown: () => this.view.pan(0, -STEP),
      "+": () => this.view.zoom(1.5),
      "=": () => this.view.zoom(1.5),
      "-": () => this.view.zoom(1 / 1.5),
      0: () => this.view.whole(),
      l: () => this.setMode(this.mode === "lasso" ? "move" : "lasso"),
      a: () => this.selectView(),
      Escape: () => (this.corners ? this.cancelLine() : this.select(null)),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
    this.redrawSoon();
  }
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}
