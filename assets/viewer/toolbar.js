// The line above the night: where we are, and how the traces are shown.

import { element } from "./dom.js";
import { clockText, elapsedText } from "./clock.js";
import { SPANS } from "./settings.js";

export class Toolbar {
  constructor(settings, act) {
    this.settings = settings;
    this.act = act;
    this.position = element("span", { className: "position" });
    this.position.setAttribute("role", "status");
    this.stages = element("span", { className: "stages" });
    this.time = element("span", { className: "time" });
    this.span = this.select("Time on the screen ( [ and ] )", (index) => ({ change: "spanIndex", value: index }));
    this.montage = this.select("Montage", (index) => ({ change: "montage", value: this.night.montages[index].name }));
    this.notch = this.select("Notch filter, display only", (index) => ({ change: "notch", value: [0, 50, 60][index] }));
    this.filter = this.button("", "Filters on or off, display only (F)", { change: "filter" });
    this.polarity = this.button("", "Polarity of EEG and EOG (P)", { change: "polarity" });
    this.grid = this.button("Grid", "Grid on or off (G)", { change: "grid" });
    this.opinion = this.button("2nd opinion", "How people staged the nearest epochs of others (O)", { opinion: true });
    this.table = this.button("Events", "Table of all events (V)", { table: true });
    const gain = element("span", { className: "group" }, [
      this.button("−", "Less gain (−)", { change: "gain", value: -1 }),
      this.button("Fit", "Fit the gain to the screen (A)", { change: "fit" }),
      this.button("+", "More gain (+)", { change: "gain", value: 1 }),
    ]);
    this.controls = element("span", { className: "controls" }, [
      this.span, this.montage, gain, this.filter, this.notch, this.polarity, this.grid,
      this.table, this.opinion, this.button("Similar", "Where else it looks like these five minutes (in the selected channel, else in breathing)", { similar: true }),
      this.button("?", "All keys (?)", { help: true }),
    ]);
    this.root = element("div", { className: "toolbar" }, [this.position, this.stages, this.time, this.controls]);
  }

  select(title, action) {
    const node = element("select", { title });
    node.setAttribute("aria-label", title);
    node.addEventListener("change", () => this.act(action(node.selectedIndex)));
    return node;
  }

  button(text, title, action) {
    return element("button", { text, title, on: { click: () => this.act(action) } });
  }

  open(night, theme) {
    this.night = night;
    this.colours = new Map(theme.stages.map((stage) => [stage.number, stage]));
    this.unknown = theme.unknown;
    const fitting = SPANS.map((_, index) => index);
    fill(this.span, fitting.map((index) => this.settings.spanName(index)));
    fill(this.montage, night.montages.map((montage) => montage.name));
    fill(this.notch, ["Notch off", "Notch 50 Hz", "Notch 60 Hz"]);
    this.refresh();
  }

  refresh() {
    if (!this.night) return;
    const { settings } = this;
    this.span.selectedIndex = settings.spanIndex;
    this.montage.selectedIndex = this.night.montages.findIndex((montage) => montage.name === settings.montage);
    this.notch.selectedIndex = [0, 50, 60].indexOf(settings.notch);
    this.notch.disabled = !settings.filtersOn;
    this.filter.textContent = settings.filtersOn ? "Filtered" : "Unfiltered";
    this.filter.classList.toggle("on", settings.filtersOn);
    this.polarity.textContent = settings.negativeUp ? "Negative ↑" : "Positive ↑";
    this.grid.classList.toggle("on", settings.grid);
  }

  /** The second opinion is on or off. */
  showOpinion(isOn) {
    this.opinion.classList.toggle("on", isOn);
    this.opinion.setAttribute("aria-pressed", String(isOn));
  }

  /** The table of events is open or closed. */
  showTable(isOpen) {
    this.table.classList.toggle("on", isOpen);
    this.table.setAttribute("aria-pressed", String(isOpen));
  }

  showEpoch(epoch) {
    const { night } = this;
    this.position.textContent = `Epoch ${epoch} / ${night.epochs}`;
    this.stages.replaceChildren(...night.scorings.map((scoring) => this.chip(scoring, epoch)));
    if (!night.scorings.length) this.stages.replaceChildren(element("span", { className: "quiet", text: "not staged yet" }));
    const seconds = (epoch - 1) * 30;
    this.time.textContent = night.start ? `${clockText(night.start, seconds)} · ${elapsedText(seconds)} elapsed` : `${elapsedText(seconds)} elapsed`;
  }

  chip(scoring, epoch) {
    const number = scoring.stages[epoch - 1] ?? -1;
    const stage = this.colours.get(number);
    const isOwn = scoring.proposed && (scoring.proposed[epoch - 1] ?? -1) !== number;
    // a model's probability is never a person's
    const probability = scoring.probabilities && !scoring.proposed ? scoring.probabilities[(epoch - 1) * 5 + number] : undefined;
    const certain = stage && probability !== undefined ? (probability / 65535).toFixed(2) : "";
    const before = isOwn ? `, begun as ${this.colours.get(scoring.proposed[epoch - 1])?.short ?? "not scored"}` : "";
    const chip = element("span", { className: isOwn ? "chip own" : "chip", title: `${scoring.label}${before}${certain && `, its probability ${certain}`}` });
    const dot = element("span", { className: "dot" });
    dot.style.background = stage ? stage.colour : this.unknown;
    chip.append(dot, element("small", { text: scoring.label }), element("b", { text: stage ? stage.short : "?" }), certain);
    return chip;
  }
}

function fill(select, texts) {
  select.replaceChildren(...texts.map((text) => element("option", { text })));
}
