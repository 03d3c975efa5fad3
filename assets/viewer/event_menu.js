// The small menu of an event: what kind it is, on which channel, or away with it.

import { element } from "./dom.js";
import { colourOf, KINDS } from "./event_kinds.js";

const NO_CHANNEL = "no channel";
const APART = 4; // pixels around it

export class EventMenu {
  /** `pick({ name?, channel?, remove? })` is called with what was chosen, `closed()` whenever the menu goes. */
  constructor(pick, closed) {
    this.pick = pick;
    this.closed = closed;
    this.kinds = element("div", { className: "kinds" });
    this.channel = element("select", { on: { change: () => this.choose({ channel: this.channels[this.channel.selectedIndex] }) } });
    this.channel.setAttribute("aria-label", "Channel of the event");
    this.remove = element("button", { text: "Delete event", title: "Delete", on: { click: () => this.choose({ remove: true }) } });
    this.root = element("div", { className: "event-menu" }, [this.kinds, element("div", { className: "foot" }, [this.channel, this.remove])]);
    this.root.setAttribute("role", "dialog");
    this.root.setAttribute("aria-label", "Kind and channel of the event");
    this.root.hidden = true;
    // the viewer's keys and its way of taking the focus are not the menu's
    this.root.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      if (!event.target.closest("select")) event.preventDefault(); // the focus stays where it is: losing it closes the menu
    });
    this.root.addEventListener("focusout", ({ relatedTarget }) => { this.root.hidden ||= !this.root.contains(relatedTarget); });
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("keyup", (event) => event.stopPropagation());
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Open below what lies between `top` and `bottom`, else above it; `channels` are those that the event may be put on. */
  open(event, theme, channels, { left, top, bottom, width, height }) {
    this.channels = [...new Set(["", event.channel, ...channels])];
    this.kinds.replaceChildren(...KINDS.map(({ name, key, code }) => {
      const dot = element("span", { className: "dot" });
      dot.style.background = colourOf(theme, name);
      const button = element("button", { on: { click: () => this.choose({ name }) } }, [dot, element("b", { text: code }), element("span", { text: name }), element("kbd", { text: key.toUpperCase() })]);
      button.setAttribute("aria-pressed", String(name === event.name));
      button.classList.toggle("on", name === event.name);
      return button;
    }));
    this.channel.replaceChildren(...this.channels.map((label) => element("option", { text: label || NO_CHANNEL })));
    this.channel.selectedIndex = this.channels.indexOf(event.channel);
    this.root.hidden = false;
    const high = this.root.offsetHeight;
    const below = bottom + high + 2 * APART <= height ? bottom + APART : top - high - APART;
    this.root.style.left = `${Math.max(APART, Math.min(left, width - this.root.offsetWidth - APART))}px`;
    this.root.style.top = `${Math.max(APART, Math.min(below, height - high - APART))}px`;
    // after the viewer has taken the focus, as it does at the end of every key
    queueMicrotask(() => (this.kinds.querySelector(".on") ?? this.kinds.firstChild).focus({ preventScroll: true }));
  }

  choose(choice) {
    this.close();
    this.pick(choice);
  }

  close() {
    if (!this.isOpen) return;
    this.root.hidden = true;
    this.closed();
  }

  key(event) {
    event.stopPropagation(); // Streamlit must not take R and C, nor the viewer its own keys
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const buttons = [...this.kinds.children];
    const at = buttons.findIndex((button) => button.matches(":focus"));
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const isInSelect = event.target.closest?.("select");
    const kind = KINDS.find(({ key }) => key === event.key.toLowerCase());
    if (event.key === "Escape") this.close();
    else if (isInSelect || event.key === "Tab") return;
    else if (event.key === "Delete" || event.key === "Backspace") this.choose({ remove: true });
    else if (step && at >= 0) buttons[(at + step + buttons.length) % buttons.length].focus();
    else if (kind) this.choose({ name: kind.name });
    else return;
    event.preventDefault();
  }
}
