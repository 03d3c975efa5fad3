// A second opinion on the epoch on the screen: how people staged its nearest neighbours. It follows the page until it is closed.

import { element, fetchJson } from "./dom.js";

const REST_MS = 250; // pages turned in a row ask once, at the end

export class SecondOpinion {
  constructor(act) {
    this.act = act;
    this.said = element("span", { className: "said" });
    this.said.setAttribute("role", "status");
    this.chips = element("span", { className: "stages" });
    this.note = element("span", { className: "quiet note" });
    const close = element("button", { text: "×", title: "Close (O)", on: { click: () => act({ opinion: true }) } });
    this.root = element("div", { className: "opinion", data: { sleepfm: "second-opinion" } }, [this.chips, this.said, this.note, close]);
    this.root.hidden = true;
    this.encoder = ""; // one that was named, else the server's choice
    this.answers = new Map();
  }

  get isOn() {
    return !this.root.hidden;
  }

  open(night, theme, route) {
    this.night = night;
    this.theme = theme;
    this.route = route;
    this.answers.clear();
    if (this.isOn && this.epoch) this.ask(this.epoch);
  }

  toggle(epoch) {
    this.root.hidden = this.isOn;
    if (this.isOn) this.ask(epoch);
  }

  /** Another epoch is on the screen. */
  follow(epoch) {
    if (!this.isOn || epoch === this.epoch) return;
    this.epoch = epoch;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(epoch), REST_MS);
  }

  async ask(epoch) {
    this.epoch = epoch;
    clearTimeout(this.timer);
    const { night } = this;
    const query = new URLSearchParams({ study: night.study, epoch, ...(this.encoder ? { encoder: this.encoder } : {}) });
    const url = `${this.route}?${query}`;
    this.show({ words: "Looking up the nearest epochs …" }, "loading");
    const slow = setTimeout(() => this.show({ words: "Loading the search engine: a few seconds, once …" }, "loading"), 1500);
    const isStale = () => this.night !== night || this.epoch !== epoch;
    try {
      if (!this.answers.has(url)) this.answers.set(url, await fetchJson(url));
      if (!isStale()) this.show(this.answers.get(url), "done");
    } catch (error) {
      if (!isStale()) this.show({ words: error.message }, "failed");
    } finally {
      clearTimeout(slow);
    }
  }

  show({ words, counts = {}, note = "", offer = null }, state) {
    this.root.dataset.state = state;
    this.root.dataset.epoch = String(this.epoch);
    this.said.replaceChildren(words);
    this.note.textContent = note;
    this.note.title = note;
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const given = this.theme.stages.filter(({ number }) => counts[number]).sort((a, b) => counts[b.number] - counts[a.number]);
    this.chips.replaceChildren(...given.map(({ short, colour, number }) => {
      const dot = element("span", { className: "dot" });
      dot.style.background = colour;
      return element("span", { className: "chip", title: `${counts[number]} of ${total}` }, [dot, element("b", { text: short }), String(counts[number])]);
    }));
    if (!offer) return;
    const text = `Ask ${offer}, trained on simulated signals`;
    const name = () => { this.encoder = offer; this.ask(this.epoch); this.act({}); };
    this.said.append(" ", element("button", { text, on: { click: name } }));
  }

  close() {
    clearTimeout(this.timer);
  }
}
