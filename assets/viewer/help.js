// The list of keys.

import { element } from "./dom.js";
import { keyList } from "./keyboard.js";

export class Help {
  constructor(settings, onClose, onTour) {
    this.settings = settings;
    this.onClose = onClose;
    this.groups = element("div", { className: "groups" });
    const note = "The keys work while the viewer has the focus: click anywhere in it. A click in the hypnogram goes to that epoch, dragging there "
      + "selects epochs; a click on a channel's name selects it. A black line below epochs of the hypnogram: "
      + "changed from what the review began with. Filters, gain and polarity change only what is shown.";
    const close = element("button", { text: "Close", on: { click: () => this.close() } });
    const tour = element("button", { text: "Show me around", on: { click: () => { this.close(); onTour(); } } });
    this.sheet = element("div", { className: "sheet", on: { click: (event) => event.stopPropagation() } }, [
      element("h2", { text: "Keys" }),
      this.groups,
      element("p", { text: note }),
      element("div", { className: "foot" }, [tour, close, element("span", { className: "quiet", text: "? or Esc closes this list." })]),
    ]);
    this.root = element("div", { className: "help", on: { click: () => this.close() } }, [this.sheet]);
    this.root.setAttribute("role", "dialog");
    this.root.setAttribute("aria-label", "Keys");
    this.root.hidden = true;
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle() {
    if (this.isOpen) {
      this.close();
      return;
    }
    this.groups.replaceChildren(...keyList(this.settings.layout).map(({ title, keys }) => element("div", { className: "keygroup" }, [
      element("h3", { text: title }),
      ...keys.map(({ keys: caps, does }) => element("div", { className: "row" }, [
        element("span", {}, caps.split(" ").map((key) => element("kbd", { text: key }))),
        element("span", { text: does }),
      ])),
    ])));
    this.root.hidden = false;
  }

  close() {
    this.root.hidden = true;
    this.onClose();
  }
}
