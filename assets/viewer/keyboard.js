// The keys. Streamlit keeps R and C for itself unless the focus is in an input, so the viewer's focus lives in one: read-only,
// invisible, and reading the keys is all it does.

import { element } from "./dom.js";

const LETTERS = { w: 0, r: 4, u: -1 };

/** How the stages lie on the keys. In the AASM's inter-scorer layout the number pad goes on and the row of numbers stays. */
export const LAYOUTS = [
  { name: "letters", text: "W 1 2 3 R", stages: { ...LETTERS, 1: 1, 2: 2, 3: 3 }, rowStays: false },
  { name: "isr", text: "0 1 2 3 4 (AASM ISR)", stages: { ...LETTERS, 0: 0, 1: 1, 2: 2, 3: 3, 4: 4 }, rowStays: true },
];

/** All keys, in the groups of the list that ? shows; `layout` is one of LAYOUTS. */
export function keyList(layout) {
  const scoring = layout.name === "isr"
    ? [{ keys: "0 1 2 3 4", does: "Wake, N1, N2, N3, REM: the number pad goes on, the row stays" }, { keys: "W R U", does: "Wake, REM, not scored; on to the next" }]
    : [{ keys: "W 1 2 3 R", does: "Wake, N1, N2, N3, REM; on to the next epoch" }, { keys: "U", does: "not scored; on to the next epoch" }];
  return [
    {
      title: "Scoring",
      keys: [
        ...scoring,
        { keys: "Ctrl Z", does: "undo, as far back as you like" },
        { keys: "Ctrl Y", does: "redo" },
        { keys: "Shift ← →", does: "select epochs; the next stage is for all of them" },
        { keys: "L", does: "lights off when this epoch begins" },
        { keys: "Shift L", does: "lights on when this epoch ends" },
      ],
    },
    {
      title: "Going there (Shift: back)",
      keys: [
        { keys: "N", does: "next epoch to look at" },
        { keys: "X", does: "next epoch that is not scored" },
        { keys: "T", does: "next change of stage" },
        { keys: "D", does: "next disagreement with the scoring below" },
        { keys: "J", does: "next event" },
        { keys: "Q", does: "review queue: what would move the numbers most" },
      ],
    },
    {
      title: "Paging",
      keys: [
        { keys: "← →", does: "one epoch back, forth" },
        { keys: "Page ↑ ↓", does: "ten epochs back, forth" },
        { keys: "Home End", does: "first, last epoch" },
        { keys: "Ctrl ← →", does: "one screen back, forth" },
        { keys: "[ ]", does: "less, more time on the screen" },
        { keys: "↑ ↓", does: "scroll the channels when they do not all fit" },
      ],
    },
    {
      title: "Events",
      keys: [
        { keys: "E", does: "draw events by dragging, on, off" },
        { keys: "Enter", does: "the selected event’s kind; drawing on, a new one on the selected channel" },
        { keys: "Del", does: "remove the selected event" },
        { keys: ", .", does: "selected event earlier, later" },
        { keys: "< >", does: "selected event shorter, longer" },
        { keys: "V", does: "table of all events" },
      ],
    },
    {
      title: "Looking",
      keys: [
        { keys: "+ −", does: "more, less gain (of the selected channel, else of all)" },
        { keys: "A", does: "fit the gain to what is on the screen" },
        { keys: layout.name === "isr" ? "S" : "0 S", does: "standard gain" },
        { keys: "F", does: "filters on, off" },
        { keys: "P", does: "polarity of EEG and EOG" },
        { keys: "G", does: "grid on, off" },
        { keys: "M", does: "caliper on, off (or Shift and drag)" },
      ],
    },
    {
      title: "More",
      keys: [
        { keys: "O", does: "second opinion: how people staged the nearest epochs" },
        { keys: "Esc", does: "menu, selection, caliper, queue, list away" },
        { keys: "?", does: "this list" },
      ],
    },
  ];
}

const ACTIONS = {
  ArrowLeft: { step: -1 },
  ArrowRight: { step: 1 },
  PageUp: { step: -10 },
  PageDown: { step: 10 },
  Home: { go: 1 },
  End: { go: "last" },
  "shift ArrowLeft": { extend: -1 },
  "shift ArrowRight": { extend: 1 },
  "control ArrowLeft": { page: -1 },
  "control ArrowRight": { page: 1 },
  ArrowUp: { change: "scroll", value: -1 },
  ArrowDown: { change: "scroll", value: 1 },
  n: { next: "look" },
  x: { next: "unscored" },
  t: { next: "transition" },
  d: { next: "disagreement" },
  "shift n": { next: "look", back: true },
  "shift x": { next: "unscored", back: true },
  "shift t": { next: "transition", back: true },
  "shift d": { next: "disagreement", back: true },
  j: { event: "next" },
  "shift j": { event: "previous" },
  e: { event: "tool" },
  Enter: { event: "menu" },
  Delete: { event: "delete" },
  Backspace: { event: "delete" },
  ",": { event: "earlier" },
  ".": { event: "later" },
  "<": { event: "shorter" },
  ">": { event: "longer" },
  v: { table: true },
  q: { queue: true },
  l: { lights: "Lights off" },
  "shift l": { lights: "Lights on" },
  "control z": { undo: true },
  "control y": { redo: true },
  "control shift z": { redo: true },
  "[": { change: "span", value: -1 },
  "]": { change: "span", value: 1 },
  "+": { change: "gain", value: 1 },
  "=": { change: "gain", value: 1 },
  "-": { change: "gain", value: -1 },
  0: { change: "standard" },
  s: { change: "standard" },
  a: { change: "fit" },
  f: { change: "filter" },
  p: { change: "polarity" },
  g: { change: "grid" },
  m: { measure: true },
  o: { opinion: true },
  "?": { help: true },
  Escape: { escape: true },
};
const REPEATING = ["step", "page", "extend", "change", "undo", "redo", "event"]; // the others once, however long the key is held

/** What a key asks for, or undefined. */
function actionOf(event, layout) {
  if (event.altKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey ? "shift " : "";
  if (event.ctrlKey || event.metaKey) return ACTIONS[`control ${shift}${key}`];
  if (key in layout.stages) return { score: layout.stages[key], stay: layout.rowStays && event.code.startsWith("Digit") };
  return ACTIONS[`${shift}${key}`] ?? ACTIONS[key];
}

export class Keyboard {
  constructor(root, settings, act) {
    this.root = root;
    this.settings = settings;
    this.act = act;
    this.input = element("input", { className: "keys" });
    this.input.readOnly = true;
    this.input.setAttribute("aria-label", "Trace viewer keys. Press ? for a list.");
    this.input.autocomplete = "off";
    root.addEventListener("keydown", (event) => this.down(event));
    root.addEventListener("keyup", (event) => event.stopPropagation());
    // A plain click anywhere in the viewer gives it the focus and does nothing else.
    root.addEventListener("pointerdown", (event) => {
      if (event.target.closest("select, dialog, input:not(.keys)")) return;
      event.preventDefault();
      this.focus();
    });
    root.addEventListener("focusin", () => root.classList.add("focused"));
    root.addEventListener("focusout", () => root.classList.remove("focused"));
    // With the focus nowhere (a menu was closed), the keys are still meant for the viewer, and R must not rerun the app.
    this.onStray = (event) => {
      if (document.activeElement !== document.body || !root.isConnected || event.key === "Tab") return; // Tab leads out of the page's end
      this.focus();
      this.down(event);
    };
    // A click on blank space gives the focus to the page's body, which has no use for keys.
    this.onClick = () => { if (root.isConnected && document.activeElement?.matches("main")) this.focus(); };
    this.onFocusMoved = () => requestAnimationFrame(() => root.classList.toggle("elsewhere", this.isElsewhere()));
    window.addEventListener("keydown", this.onStray, { capture: true });
    window.addEventListener("click", this.onClick);
    document.addEventListener("focusin", this.onFocusMoved);
    document.addEventListener("focusout", this.onFocusMoved);
  }

  close() {
    window.removeEventListener("keydown", this.onStray, { capture: true });
    window.removeEventListener("click", this.onClick);
    document.removeEventListener("focusin", this.onFocusMoved);
    document.removeEventListener("focusout", this.onFocusMoved);
  }

  /** Another part of the page has the focus and gets the keys. */
  isElsewhere() {
    return document.activeElement !== document.body && !this.root.classList.contains("focused");
  }

  down(event) {
    const isTyping = event.target.closest?.("select, input:not(.keys)");
    const isPressing = event.target.closest?.("button") && ["Enter", " "].includes(event.key);
    if ((isTyping && event.key !== "Escape") || isPressing) {
      event.stopPropagation(); // a list being chosen from needs its own keys, and Streamlit must not take R and C
      return;
    }
    const action = actionOf(event, this.settings.layout);
    if (!action && (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab")) return;
    event.stopPropagation();
    if (!action) return;
    event.preventDefault();
    if (event.repeat && !REPEATING.some((name) => name in action)) return;
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
