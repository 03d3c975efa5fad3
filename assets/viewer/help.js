// The list of keys.

import { element } from "./dom.js";
import { KEYS } from "./keyboard.js";

export class Help {
  constructor(onClose) {
    this.onClose = onClose;
    const rows = KEYS.map(({ keys, does }) => {
      const caps = keys.split(" ").map((key) => element("kbd", { text: key }));
      return element("div", { className: "row" }, [element("span", {}, caps), element("span", { text: does })]);
    });
    const note = "The keys work while the viewer has the focus: click anywhere in it. A click in the hypnogram goes to that epoch; "
      + "a click on a channel's name selects it. Filters, gain and polarity change only what is shown.";
    this.root = element("div", { className: "help", on: { click: () => this.close() } }, [
      element("div", { className: "sheet" }, [
        element("h2", { text: "Keys" }),
        element("div", { className: "rows" }, rows),
        element("p", { text: note }),
        element("p", { className: "quiet", text: "? or Esc closes this list. Scoring is read-only in this version." }),
      ]),
    ]);
    this.root.setAttribute("role", "dialog");
    this.root.setAttribute("aria-label", "Keys");
    this.root.hidden = true;
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.root.hidden = false;
  }

  close() {
    this.root.hidden = true;
    this.onClose();
  }
}
