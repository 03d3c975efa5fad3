// Events on the traces: drawn on their channel, made and edited with the pointer and with keys.
//
// The viewer hands on what keys ask for as { event: word }:
//   "tool" (E) · "menu" (Enter) · "delete" (Delete, Backspace) · "next" (J) · "previous" (Shift+J) · "earlier" (,) · "later" (.) ·
//   "shorter" (<) · "longer" (>) · "escape"

import { EventIndex } from "./event_index.js";

export class EventLayer {
  /** `panel` shows the traces; `act` takes what the viewer does ({ at: seconds } goes there, { say: text }). */
  constructor(panel, act) {
    this.panel = panel;
    this.act = act;
    this.index = new EventIndex([]);
    this.listeners = new Set();
    panel.events = this;
  }

  /** A night was opened. `document` is its ReviewDocument, or null where nobody edits: then its own events are shown. */
  open(night, document, theme) {
    this.night = night;
    this.document = document;
    this.theme = theme;
    this.refresh();
  }

  /** The document's events or stages changed (viewer.js says so from the document's onChange). */
  refresh() {
    this.index = new EventIndex(this.document?.events.values() ?? this.night.events);
    for (const listener of this.listeners) listener();
  }

  /** `listener()` is called when the events or the selected one changed. */
  onChange(listener) {
    this.listeners.add(listener);
  }

  /** Do what a key asks for; true when there was something to do. */
  keys(action) {
    return Boolean(action);
  }
}
