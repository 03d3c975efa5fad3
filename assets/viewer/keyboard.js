// The keys. Streamlit keeps R and C for itself unless the focus is in an input, so the viewer's focus lives in one: read-only,
// invisible, and reading the keys is all it does.

import { element } from "./dom.js";

export const KEYS = [
  { keys: "← →", does: "one epoch back, forth" },
  { keys: "Page ↑ ↓", does: "ten epochs back, forth" },
  { keys: "Home End", does: "first, last epoch" },
  { keys: "Shift ← →", does: "one screen back, forth" },
  { keys: "N", does: "next epoch to look at" },
  { keys: "[ ]", does: "less, more time on the screen" },
  { keys: "+ −", does: "more, less gain (of the selected channel, else of all)" },
  { keys: "A", does: "fit the gain to what is on the screen" },
  { keys: "0", does: "gain back to the standard" },
  { keys: "F", does: "filters on, off" },
  { keys: "P", does: "polarity of EEG and EOG" },
  { keys: "G", does: "grid on, off" },
  { keys: "Shift drag", does: "caliper: duration, frequency, amplitude" },
  { keys: "M", does: "caliper without Shift, on, off" },
  { keys: "O", does: "second opinion: how people staged the nearest epochs" },
  { keys: "↑ ↓", does: "scroll the channels when they do not all fit" },
  { keys: "Esc", does: "caliper away; no channel selected" },
  { keys: "?", does: "this list" },
];

const READ_ONLY = "Scoring is read-only in this version.";

const ACTIONS = {
  ArrowLeft: { step: -1 },
  ArrowRight: { step: 1 },
  PageUp: { step: -10 },
  PageDown: { step: 10 },
  Home: { go: 1 },
  End: { go: "last" },
  "shift ArrowLeft": { page: -1 },
  "shift ArrowRight": { page: 1 },
  ArrowUp: { change: "scroll", value: -1 },
  ArrowDown: { change: "scroll", value: 1 },
  n: { next: true },
  "[": { change: "span", value: -1 },
  "]": { change: "span", value: 1 },
  "+": { change: "gain", value: 1 },
  "=": { change: "gain", value: 1 },
  "-": { change: "gain", value: -1 },
  0: { change: "standard" },
  a: { change: "fit" },
  f: { change: "filter" },
  p: { change: "polarity" },
  g: { change: "grid" },
  m: { measure: true },
  o: { opinion: true },
  "?": { help: true },
  Escape: { escape: true },
  w: { say: READ_ONLY },
  1: { say: READ_ONLY },
  2: { say: READ_ONLY },
  3: { say: READ_ONLY },
  r: { say: READ_ONLY },
  u: { say: READ_ONLY },
  "control z": { say: READ_ONLY },
  "control y": { say: READ_ONLY },
};

function named(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `control ${key}`;
  if (event.altKey) return null;
  return event.shiftKey && event.key.startsWith("Arrow") ? `shift ${key}` : key;
}

export class Keyboard {
  constructor(root, act) {
    this.root = root;
    this.act = act;
    this.input = element("input", { className: "keys" });
    this.input.readOnly = true;
    this.input.setAttribute("aria-label", "Trace viewer keys. Press ? for a list.");
    this.input.autocomplete = "off";
    root.addEventListener("keydown", (event) => this.down(event));
    root.addEventListener("keyup", (event) => event.stopPropagation());
    // A plain click anywhere in the viewer gives it the focus and does nothing else.
    root.addEventListener("pointerdown", (event) => {
      if (event.target.closest("select, dialog")) return;
      event.preventDefault();
      this.focus();
    });
    root.addEventListener("focusin", () => root.classList.add("focused"));
    root.addEventListener("focusout", () => root.classList.remove("focused"));
    // With the focus nowhere (a menu was closed), the keys are still meant for the viewer, and R must not rerun the app.
    this.onStray = (event) => {
      if (document.activeElement !== document.body || !root.isConnected) return;
      this.focus();
      this.down(event);
    };
    this.onFocusMoved = () => requestAnimationFrame(() => root.classList.toggle("elsewhere", this.isElsewhere()));
    window.addEventListener("keydown", this.onStray, { capture: true });
    document.addEventListener("focusin", this.onFocusMoved);
    document.addEventListener("focusout", this.onFocusMoved);
  }

  close() {
    window.removeEventListener("keydown", this.onStray, { capture: true });
    document.removeEventListener("focusin", this.onFocusMoved);
    document.removeEventListener("focusout", this.onFocusMoved);
  }

  /** Another part of the page has the focus and gets the keys. */
  isElsewhere() {
    return document.activeElement !== document.body && !this.root.classList.contains("focused");
  }

  down(event) {
    if (event.target.closest?.("select") && event.key !== "Escape") {
      event.stopPropagation(); // a list being chosen from needs its own keys, and Streamlit must not take R and C
      return;
    }
    const action = ACTIONS[named(event)];
    if (!action && (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab")) return;
    event.stopPropagation();
    if (!action) return;
    event.preventDefault();
    this.act({ ...action, held: event.repeat });
  }

  focus() {
    this.input.focus({ preventScroll: true });
  }

  /** Take the focus when the page opens, but never out of a field in which somebody is typing. */
  focusUnlessTyping() {
    const isTyping = document.activeElement?.matches('input:not([role="combobox"][aria-expanded="false"]), textarea, [contenteditable]');
    if (!isTyping) this.focus();
  }
}
