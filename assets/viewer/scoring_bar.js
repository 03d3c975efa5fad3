// The line for whoever scores: the stages as buttons, undo and redo, whether everything is stored, and the night's numbers as they are now.

import { element, fetchJson } from "./dom.js";
import { LAYOUTS } from "./keyboard.js";

const SHORT = { rem_latency: "REM lat.", odi3: "ODI3", odi3_spo2: "ODI3", arousal_index: "ArI" }; // all nine on one line of 1366 pixels
const NUMBERS_REST_MS = 120; // edits in a row ask once

export class ScoringBar {
  constructor(settings, act) {
    this.settings = settings;
    this.act = act;
    this.who = element("span", { className: "who" });
    this.stages = element("span", { className: "group stagekeys" });
    this.undo = this.button("↶", "Undo (Ctrl Z)", { undo: true });
    this.redo = this.button("↷", "Redo (Ctrl Y)", { redo: true });
    this.saved = element("span", { className: "saved", data: { sleepfm: "saved" } });
    this.saved.setAttribute("role", "status");
    this.numbers = element("span", { className: "numbers", data: { sleepfm: "numbers" } });
    this.numbers.setAttribute("aria-label", "The night's numbers as scored now");
    this.queue = this.button("Queue", "Review queue: the epochs that would move the numbers most (Q)", { queue: true });
    this.tool = this.button("Draw event", "Draw events by dragging on a trace (E)", { event: "tool" });
    this.menu = element("span", { className: "menu" });
    this.list = element("div", { className: "menulist" });
    this.list.hidden = true;
    this.opener = element("button", { text: "⋯", title: "Lights, back to the model, key layout", on: { click: () => this.toggleMenu() } });
    this.opener.setAttribute("aria-haspopup", "true");
    this.menu.append(this.opener, this.list);
    const group = element("span", { className: "group" }, [this.undo, this.redo]);
    this.root = element("div", { className: "scoring-bar", data: { sleepfm: "scoring" } }, [
      this.who, this.stages, group, this.saved, this.numbers, this.tool, this.queue, this.menu,
    ]);
    this.root.hidden = true;
    this.onOutside = (event) => { if (!event.composedPath().includes(this.menu)) this.closeMenu(); };
    window.addEventListener("pointerdown", this.onOutside);
  }

  button(text, title, action) {
    const node = element("button", { text, title, on: { click: () => this.act(action) } });
    node.setAttribute("aria-label", title);
    return node;
  }

  /** `eventSets` are those whose events can be taken: { id, name }. */
  open(document, theme, route, eventSets) {
    this.eventSets = eventSets;
    this.document = document;
    this.theme = theme;
    this.route = route;
    this.root.hidden = !document;
    if (!document) return;
    this.numbersOf = null;
    this.refresh();
  }

  close() {
    clearTimeout(this.timer);
    window.removeEventListener("pointerdown", this.onOutside);
  }

  refresh() {
    const { document, settings } = this;
    if (!document) return;
    const { scorer, me, editable } = document;
    this.who.textContent = !editable ? `${scorer}: read only` : scorer === me ? `Scoring as ${scorer}` : `Scoring for ${scorer}`;
    this.who.title = editable && scorer !== me ? `The scoring is called ${scorer}; your edits of it are logged as ${me}'s.` : this.who.textContent;
    if (this.layoutShown !== settings.layout.name) this.showStages();
    for (const button of this.stages.children) button.disabled = !document.editable;
    this.undo.disabled = !document.canUndo;
    this.redo.disabled = !document.canRedo;
    this.tool.disabled = !document.editable;
    this.queue.disabled = !document.editable;
    this.showSaved();
    this.askForNumbers();
  }

  showStages() {
    const { layout } = this.settings;
    this.layoutShown = layout.name;
    const keyOf = (stage) => Object.keys(layout.stages).find((key) => layout.stages[key] === stage)?.toUpperCase() ?? "";
    const all = [...this.theme.stages, { number: -1, short: "?", colour: this.theme.unknown }];
    this.stages.replaceChildren(...all.map(({ number, short, colour }) => {
      const key = keyOf(number);
      const name = number < 0 ? "Not scored" : short;
      const node = element("button", { title: `${name} (${key})`, on: { click: () => this.act({ score: number }) } }, [element("b", { text: short }), element("small", { text: key })]);
      node.setAttribute("aria-label", `Score ${name}`);
      node.style.setProperty("--stage", colour);
      return node;
    }));
  }

  showSaved() {
    const { unsaved, failure, conflicts } = this.document;
    this.who.hidden = Boolean(this.selected); // its room
    const state = conflicts.length ? "conflict" : failure ? "waiting" : unsaved ? "storing" : "stored";
    if (this.selected) {
      const { from, to } = this.selected;
      this.saved.textContent = `${to - from + 1} epochs (${from}–${to}): press a stage`;
    } else if (state === "stored") this.saved.textContent = this.document.editable ? "✓ stored" : "";
    else this.saved.textContent = state === "storing" ? "storing …" : `${unsaved} not stored`;
    this.saved.dataset.state = this.selected ? "selecting" : state;
  }

  /** Events are being drawn or not. */
  showTool(isOn) {
    this.tool.classList.toggle("on", isOn);
    this.tool.setAttribute("aria-pressed", String(isOn));
  }

  /** The review queue is open or closed. */
  showQueue(isOn) {
    this.queue.classList.toggle("on", isOn);
    this.queue.setAttribute("aria-pressed", String(isOn));
  }

  showSelection(selection) {
    this.selected = selection;
    if (this.document) this.showSaved();
  }

  /** Ask for the numbers once what they come from is stored. */
  askForNumbers() {
    const { document } = this;
    if ((document.isOpen && document.pending.length) || this.numbersOf === document.version || this.isAsking) return;
    this.numbersOf = document.version;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.loadNumbers(document), NUMBERS_REST_MS);
  }

  async loadNumbers(document) {
    this.isAsking = true;
    const query = new URLSearchParams({ study: document.study, scoring: document.scoring });
    try {
      const { numbers } = await fetchJson(`${this.route}/numbers?${query}`);
      if (this.document === document) this.showNumbers(numbers);
    } catch (error) {
      if (this.document === document) this.sayInstead(error.message);
    } finally {
      this.isAsking = false;
    }
    if (this.document === document) this.askForNumbers();
  }

  sayInstead(message) {
    this.numbers.replaceChildren(element("span", { className: "quiet", text: message, title: message }));
  }

  showNumbers(numbers) {
    this.numbers.replaceChildren(...numbers.map(({ key, name, value, low, high, unit, text, remark }) => {
      const range = low === null || low === undefined ? "" : `, 95 % from uncertain stages: ${trimmed(low)} to ${trimmed(high)} ${unit}`;
      const shown = value === null ? "–" : remark ? `${text} ?` : text; // a number to be looked at before it is believed
      const title = value === null ? `${name}: ${text}` : `${name}: ${text}${range}${remark ? `. ${remark}` : ""}`;
      return element("span", { className: "number", title, data: { key } }, [element("small", { text: SHORT[key] ?? name }), element("b", { text: shown })]);
    }));
  }

  toggleMenu() {
    if (!this.list.hidden) {
      this.closeMenu();
      return;
    }
    const { document, settings } = this;
    const item = (text, action, { disabled = false, on = false } = {}) => {
      const node = element("button", { text, className: on ? "on" : "", on: { click: () => { this.closeMenu(); this.act(action); } } });
      node.disabled = disabled;
      return node;
    };
    const locked = !document.editable;
    const origin = document.proposal || "not scored";
    this.list.replaceChildren(
      item("Lights off when this epoch begins (L)", { lights: "Lights off" }, { disabled: locked }),
      item("Lights on when this epoch ends (Shift L)", { lights: "Lights on" }, { disabled: locked }),
      element("hr"),
      item(`Selected epochs back to: ${origin}`, { reset: "selection" }, { disabled: locked || !this.selected }),
      item(`All stages back to: ${origin}`, { reset: "stages" }, { disabled: locked }),
      item("All events back to those it began with", { reset: "events" }, { disabled: locked }),
      ...this.eventSets.map((set) => item(`Take the events of: ${set.name}`, { takeEvents: set }, { disabled: locked })),
      element("hr"),
      ...LAYOUTS.map(({ name, text }) => item(`Keys: ${text}`, { layout: name }, { on: settings.layout.name === name })),
    );
    this.list.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    this.list.querySelector("button:not(:disabled)")?.focus();
  }

  /** Close the menu; false when it was closed. */
  closeMenu() {
    const was = !this.list.hidden;
    this.list.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
    return was;
  }
}

function trimmed(number) {
  return String(Number(Number(number).toPrecision(3)));
}
