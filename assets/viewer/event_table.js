// All events in a table beside the traces: filtered, counted, and a way to get to each. Only the rows in sight exist.

import { clockText } from "./clock.js";
import { element } from "./dom.js";
import { eventsCsv } from "./event_csv.js";
import { colourOf, kindOf, KINDS } from "./event_kinds.js";

const ROW = 22;
const SPARE_ROWS = 4; // above and below those in sight
const REST_MS = 120; // epochs scored in a row are counted once, at the end
const ANY = "";
const COLUMNS = ["Time", "Event", "Channel", "s", "St.", "By", "Counts"];
const MEANINGS = ["", "", "Channel on which it is marked", "How long, in seconds", "Stage in which it starts", "Who marked it: a person, an engine, the file", "Whether it counts in the indices, and why not"];

export class EventTable {
  /** `layer` is the EventLayer; `act` takes what the viewer does. `root` goes into the viewer's root. */
  constructor(layer, act) {
    this.layer = layer;
    this.act = act;
    this.events = []; // those that pass the filter
    this.rows = [];
    this.title = element("b");
    this.title.setAttribute("role", "status");
    this.csv = element("button", { text: "CSV", title: "Save the events in the table as CSV", on: { click: () => this.save() } });
    const close = element("button", { text: "×", title: "Close (V)", on: { click: () => act({ table: true }) } });
    this.counts = element("div", { className: "counts" });
    this.name = this.filter("Kind of event");
    this.source = this.filter("Who marked it");
    this.stage = this.filter("Stage in which it starts");
    this.text = element("input", { title: "Text in its name, channel or source", on: { input: () => this.sift() } });
    this.text.type = "search";
    this.text.placeholder = "Find";
    this.text.setAttribute("aria-label", "Find in events");
    this.spacer = element("div", { className: "spacer" });
    this.body = element("div", { className: "events-body", on: { scroll: () => this.draw(), keydown: (event) => this.key(event) } }, [this.spacer]);
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "grid");
    this.body.setAttribute("aria-label", "Events: up and down go through them, Enter gives the keys back to the traces");
    this.nothing = element("p", { className: "quiet" });
    const head = element("div", { className: "event-row names" }, COLUMNS.map((text, at) => element("span", { text, title: MEANINGS[at] })));
    this.root = element("aside", { className: "event-table", data: { sleepfm: "events" } }, [
      element("div", { className: "events-head" }, [this.title, this.csv, close]),
      this.counts,
      element("div", { className: "filters" }, [this.name, this.source, this.stage, this.text]),
      head,
      this.body,
      this.nothing,
    ]);
    this.root.setAttribute("aria-label", "Table of events");
    this.root.hidden = true;
    this.root.addEventListener("pointerdown", (event) => event.stopPropagation()); // else the viewer takes the focus away
    this.size = new ResizeObserver(() => this.place());
    layer.onChange((what) => this.heard(what));
  }

  filter(title) {
    const select = element("select", { title, on: { change: () => this.sift() } });
    select.setAttribute("aria-label", title);
    return select;
  }

  /** A night was opened. `mayExport`: a button offers the table as CSV. */
  open(night, theme, { mayExport = false } = {}) {
    this.night = night;
    this.theme = theme;
    this.csv.hidden = !mayExport;
    this.shorts = new Map(theme.stages.map(({ number, short }) => [number, short]));
    for (const select of [this.name, this.source, this.stage]) select.replaceChildren();
    this.text.value = "";
    this.count();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Show or hide; the traces make room. */
  toggle() {
    this.root.hidden = this.isOpen;
    this.root.closest(".viewer").classList.toggle("with-events", this.isOpen);
    if (this.isOpen) {
      this.size.observe(this.layer.panel.root);
      this.place();
      this.count();
    } else {
      this.size.disconnect();
      this.layer.listed = null;
    }
  }

  close() {
    this.size.disconnect();
    clearTimeout(this.timer);
  }

  /** As high as overview and traces together. */
  place() {
    const top = (node) => node.getBoundingClientRect().top;
    this.root.style.top = `${top(this.root.closest(".viewer").querySelector(".overview")) - top(this.root.offsetParent)}px`;
    this.draw();
  }

  heard(what) {
    if (!this.isOpen || !this.night) return;
    clearTimeout(this.timer);
    if (what === "events") this.count();
    else if (what === "stages") this.timer = setTimeout(() => this.count(), REST_MS);
    else this.follow();
  }

  stageOf(event) {
    return this.shorts.get(this.layer.stageAt(event.start)) ?? "?";
  }

  /** Count all events anew, by what they can be filtered by. */
  count() {
    if (!this.isOpen || !this.night) return;
    const all = this.layer.index.events;
    const by = (value) => {
      const counts = new Map();
      for (const event of all) counts.set(value(event), (counts.get(value(event)) ?? 0) + 1);
      return counts;
    };
    const names = by(({ name }) => name);
    const order = [...KINDS.map(({ name }) => name).filter((name) => names.has(name)), ...[...names.keys()].filter((name) => !kindOf(name).key).sort()];
    fill(this.name, "All kinds", order, names);
    const sources = by(({ source }) => source ?? "");
    fill(this.source, "By all", [...sources.keys()].sort(), sources);
    const stages = by((event) => this.stageOf(event));
    fill(this.stage, "All stages", [...this.shorts.values(), "?"].filter((short) => stages.has(short)), stages);
    this.counts.replaceChildren(...order.map((name) => {
      const dot = element("span", { className: "dot" });
      dot.style.background = colourOf(this.theme, name);
      const { key, code } = kindOf(name);
      const press = () => { this.name.value = this.name.value === value(name) ? ANY : value(name); this.sift(); };
      return element("button", { className: "chip", title: `${key ? `${code}: ` : ""}${name}. Press for only these, or all again`, data: { name }, on: { click: press } }, [dot, key ? code : name, element("b", { text: String(names.get(name)) })]);
    }));
    this.sift();
  }

  /** Take those that pass the filter. */
  sift() {
    const all = this.layer.index.events;
    const words = this.text.value.trim().toLowerCase();
    const [name, source, stage] = [this.name, this.source, this.stage].map((select) => select.value);
    this.events = all.filter((event) => (name === ANY || value(event.name) === name) && (source === ANY || value(event.source ?? "") === source)
      && (stage === ANY || value(this.stageOf(event)) === stage)
      && (!words || `${event.name} ${event.channel} ${event.source ?? ""}`.toLowerCase().includes(words)));
    this.places = new Map(this.events.map(({ id }, place) => [id, place]));
    this.layer.listed = this.events.length === all.length ? null : this.events;
    const number = (count) => count.toLocaleString("en");
    this.title.textContent = this.layer.listed ? `${number(this.events.length)} of ${number(all.length)} events` : `${number(all.length)} events`;
    for (const chip of this.counts.children) chip.classList.toggle("on", value(chip.dataset.name) === name);
    this.nothing.textContent = !all.length ? "No events on this night." : this.events.length ? "" : "No event passes the filter.";
    this.csv.disabled = !this.events.length;
    this.body.setAttribute("aria-rowcount", String(this.events.length));
    this.spacer.style.height = `${this.events.length * ROW}px`;
    this.draw();
    this.follow();
  }

  /** Keep the selected event in sight. */
  follow() {
    const place = this.places?.get(this.layer.selected);
    if (place !== undefined) {
      const { scrollTop, clientHeight } = this.body;
      const top = place * ROW;
      if (top < scrollTop || top + ROW > scrollTop + clientHeight) this.body.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    this.draw();
  }

  draw() {
    if (!this.isOpen) return;
    const first = Math.max(0, Math.floor(this.body.scrollTop / ROW) - SPARE_ROWS);
    const count = Math.ceil(this.body.clientHeight / ROW) + 2 * SPARE_ROWS;
    while (this.rows.length < count) {
      const row = element("div", { className: "event-row" }, COLUMNS.map(() => element("span")));
      row.setAttribute("role", "row");
      for (const cell of row.children) cell.setAttribute("role", "gridcell");
      row.addEventListener("click", () => this.goTo(row.place));
      this.rows.push(row);
      this.spacer.append(row);
    }
    this.rows.forEach((row, at) => {
      const event = at < count ? this.events[first + at] : undefined;
      row.hidden = !event;
      if (event) this.drawRow(row, event, first + at);
    });
  }

  drawRow(row, event, place) {
    row.place = place;
    row.style.transform = `translateY(${place * ROW}px)`;
    const isSelected = event.id === this.layer.selected;
    row.classList.toggle("on", isSelected);
    row.setAttribute("aria-selected", String(isSelected));
    row.setAttribute("aria-rowindex", String(place + 1));
    const stage = this.stageOf(event);
    const { word, isCounted, why } = this.layer.judge(event);
    if (row.event === event && row.stage === stage && row.word === word) return;
    Object.assign(row, { event, stage, word });
    const texts = [clockText(this.night.start, Math.floor(event.start)), event.name, event.channel, (event.stop - event.start).toFixed(1), stage, event.source ?? "", word];
    texts.forEach((text, column) => { row.children[column].textContent = text; });
    row.style.setProperty("--colour", colourOf(this.theme, event.name));
    row.classList.toggle("uncounted", !isCounted);
    row.title = this.layer.words(event);
    row.lastChild.title = why;
  }

  goTo(place) {
    const event = this.events[place];
    if (event) this.layer.goTo(event);
    this.body.focus({ preventScroll: true });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.places.get(this.layer.selected) ?? this.nearest();
    const screenful = Math.max(1, Math.floor(this.body.clientHeight / ROW) - 1);
    const place = { ArrowUp: at - 1, ArrowDown: at + 1, PageUp: at - screenful, PageDown: at + screenful, Home: 0, End: this.events.length - 1 }[event.key];
    if (place !== undefined) this.goTo(Math.min(Math.max(place, 0), this.events.length - 1));
    else if (event.key === "Enter" && this.places.has(this.layer.selected)) this.act({}); // the traces have the keys again
    else if (event.key === "Enter") this.goTo(at);
    else return; // the viewer's
    event.preventDefault();
    event.stopPropagation();
  }

  /** Place of the first event on the screen or after it. */
  nearest() {
    const start = this.layer.panel.drawn?.view.start ?? 0;
    const place = this.events.findIndex((event) => event.start >= start);
    return place < 0 ? this.events.length - 1 : place;
  }

  save() {
    const text = eventsCsv(this.events, this.night.start, (event) => [this.stageOf(event), this.layer.judge(event).word]);
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = element("a");
    link.href = address;
    link.download = `${this.night.study}_events.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
}

// a value of a list that cannot be taken for "all", whatever a file calls its events
function value(text) {
  return `is ${text}`;
}

/** Fill a list with what there is, with counts; what was chosen stays chosen while it is there. */
function fill(select, all, texts, counts) {
  const chosen = select.value;
  const options = texts.map((text) => element("option", { text: `${text || "(nobody named)"} (${counts.get(text)})` }));
  options.forEach((option, at) => { option.value = value(texts[at]); });
  const first = element("option", { text: all });
  first.value = ANY;
  select.replaceChildren(first, ...options);
  select.value = texts.map(value).includes(chosen) ? chosen : ANY;
}
