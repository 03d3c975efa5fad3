// All events in a table beside the traces: filtered, counted, and a way to get to each.

import { element } from "./dom.js";

export class EventTable {
  /** `layer` is the EventLayer; `act` takes what the viewer does. `root` goes into the viewer's root. */
  constructor(layer, act) {
    this.layer = layer;
    this.act = act;
    this.root = element("aside", { className: "event-table", data: { sleepfm: "events" } });
    this.root.hidden = true;
    layer.onChange(() => this.refresh());
  }

  /** `mayExport`: a button offers the table as CSV. */
  open(night, document, theme, { mayExport = false } = {}) {
    this.night = night;
    this.document = document;
    this.theme = theme;
    this.mayExport = mayExport;
    this.refresh();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Show or hide (V); the viewer lays itself out anew afterwards. */
  toggle() {
    this.root.hidden = this.isOpen;
    this.root.parentElement.classList.toggle("with-events", this.isOpen);
    this.refresh();
  }

  /** Events or stages changed. */
  refresh() {
    return this.isOpen;
  }
}
