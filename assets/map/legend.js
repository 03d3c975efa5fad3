// What the colours mean, and how many points of each are there and selected. Every line is a button: it selects its group.

import { element, sizedContext } from "../viewer/dom.js";
import { shortNumber } from "./points.js";

const BAR_WIDTH = 178;
const BAR_HEIGHT = 14;
const DIGITS = 4; // of a field of the range

/** A number with four digits, rounded away from the others so that a range from it still holds it; values are single floats. */
function outward(value, up) {
  const rounded = Number(value.toPrecision(DIGITS));
  const holds = up ? Math.fround(rounded) >= Math.fround(value) : Math.fround(rounded) <= Math.fround(value);
  if (holds) return rounded;
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) + 1 - DIGITS);
  return Number((rounded + (up ? unit : -unit)).toPrecision(DIGITS));
}

export class Legend {
  constructor(select, choose) {
    this.select = select;
    this.choice = element("select", { on: { change: () => choose(this.choice.value) } });
    this.choice.addEventListener("keydown", (event) => event.stopPropagation());
    const title = element("label", { className: "legend-title" }, [element("span", { text: "Colour by" }), this.choice]);
    this.shown = element("div");
    this.root = element("div", { className: "legend" }, [title, this.shown]);
    this.chosen = new Set();
  }

  /** Offer columns; scores, of which there may be a thousand, stand in a group of their own. */
  offer(offered, key) {
    const content = JSON.stringify(offered);
    if (this.offered !== content) {
      this.offered = content;
      const option = (one) => Object.assign(element("option", { text: one.title }), { value: one.key });
      const scores = document.createElement("optgroup");
      scores.label = "Model scores";
      scores.append(...offered.filter(({ score }) => score).map(option));
      this.choice.replaceChildren(...offered.filter(({ score }) => !score).map(option), ...(scores.childElementCount ? [scores] : []));
    }
    this.choice.value = key;
  }

  /** Show a column; `unit` is what a point is called ("nights", "windows"). */
  open(column, unit) {
    this.column = column;
    this.unit = unit;
    this.chosen = new Set();
    const note = element("p", { className: "quiet", text: column.note });
    note.hidden = !column.note;
    this.body = element("div", { className: "legend-body" });
    this.choice.value = column.key;
    this.shown.replaceChildren(note, this.body);
    if (column.isGroups) this.openGroups(); else this.openNumbers();
    this.count(null);
  }

  openGroups() {
    this.lines = this.column.entries.map((entry) => {
      const count = element("span", { className: "count" });
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = entry.colour;
      const line = element("button", { className: "line", title: entry.labels ? `Select “${entry.title}”` : "" }, [
        swatch, element("span", { className: "name", text: entry.title }), count,
      ]);
      line.type = "button";
      line.disabled = !entry.labels;
      line.hidden = entry.count === 0;
      line.addEventListener("click", () => this.toggle(entry));
      return { entry, line, count };
    });
    this.body.append(...this.lines.map(({ line }) => line), element("p", {
      className: "quiet", text: "Click a line to select it, again to take it back.",
    }));
  }

  toggle(entry) {
    if (!this.chosen.delete(entry)) this.chosen.add(entry);
    const labels = [...this.chosen].flatMap((one) => one.labels);
    this.select(labels.length ? { kind: "groups", column: this.column.key, labels } : null);
  }

  openNumbers() {
    const { column } = this;
    const bar = element("canvas", { className: "bar" });
    const context = sizedContext(bar, BAR_WIDTH, BAR_HEIGHT);
    const ramp = context.createLinearGradient(0, 0, BAR_WIDTH, 0);
    column.ramp.forEach((colour, k) => ramp.addColorStop(k / (column.ramp.length - 1), colour));
    context.fillStyle = ramp;
    context.fillRect(0, 0, BAR_WIDTH, BAR_HEIGHT);
    const none = column.least === null;
    const end = (value, sign, beyond) => (none ? "" : `${beyond ? sign : ""}${shortNumber(value)}`);
    const ends = element("div", { className: "ends" }, [
      element("span", { text: end(column.low, "≤ ", column.least < column.low) }),
      element("span", { text: none ? "nothing known" : column.unit }),
      element("span", { text: end(column.high, "≥ ", column.most > column.high) }),
    ]);
    const field = (name, value) => {
      const input = element("input");
      input.type = "number";
      input.step = "any";
      input.value = value === null ? "" : String(outward(value, name === "to"));
      input.setAttribute("aria-label", `${name} (${column.unit})`);
      // Streamlit keeps some keys for itself; what is typed here is ours
      input.addEventListener("keydown", (event) => {
        event.stopPropagation();
        if (event.key === "Enter") this.selectRange();
      });
      return input;
    };
    this.from = field("from", column.least);
    this.to = field("to", column.most);
    const go = element("button", { text: "Select", on: { click: () => this.selectRange() } });
    go.type = "button";
    const range = element("div", { className: "range" }, [this.from, element("span", { text: "to" }), this.to, go]);
    range.hidden = none;
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = column.unknown;
    const count = element("span", { className: "count" });
    const unknown = { title: "not known", labels: [null] };
    const line = element("button", { className: "line", title: "Select “not known”" }, [
      swatch, element("span", { className: "name", text: unknown.title }), count,
    ]);
    line.type = "button";
    line.addEventListener("click", () => this.toggle(unknown));
    this.lines = [{ entry: unknown, line, count }];
    this.known = element("div", { className: "quiet" });
    this.body.append(bar, ends, this.known, line, range);
  }

  selectRange() {
    const [low, high] = [Number.parseFloat(this.from.value), Number.parseFloat(this.to.value)];
    if (Number.isFinite(low) && Number.isFinite(high)) this.select({ kind: "range", column: this.column.key, low, high });
  }

  /** Count the points of each line, of the selection first where there is one; returns how many are selected. */
  count(mask, selection = null) {
    const { column, lines } = this;
    const { points } = column;
    const places = lines.length;
    const all = new Uint32Array(places + 1);
    const selected = new Uint32Array(places + 1);
    const { values } = column;
    const ofValue = new Uint8Array(values.length);
    for (let k = 0; k < ofValue.length; k += 1) {
      if (column.isGroups) ofValue[k] = column.entryOf(values[k]);
      else ofValue[k] = Number.isNaN(values[k]) ? 0 : places;
    }
    const { n, study } = points;
    for (let row = 0; row < n; row += 1) {
      const place = ofValue[column.perStudy ? study[row] : row];
      all[place] += 1;
      if (mask !== null) selected[place] += mask[row];
    }
    const words = (place) => (mask ? `${selected[place].toLocaleString("en")} / ` : "") + all[place].toLocaleString("en");
    if (selection?.kind !== "groups" || selection.column !== column.key) this.chosen.clear();
    lines.forEach(({ entry, line, count }, place) => {
      count.textContent = words(place);
      line.hidden = all[place] === 0;
      line.setAttribute("aria-pressed", String(this.chosen.has(entry)));
      line.classList.toggle("on", this.chosen.has(entry));
    });
    if (!column.isGroups) this.known.textContent = `${words(places)} ${this.unit} with a number`;
    return selected.reduce((sum, one) => sum + one, 0);
  }
}
