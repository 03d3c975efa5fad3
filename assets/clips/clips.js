// The answer to a query: its own clips and those of its neighbours, one above the other, on one scale and one stretch of time.

import { element } from "../viewer/dom.js";
import { Settings } from "../viewer/settings.js";
import { agreementAt, judgement } from "./agreement.js";
import { ClipCard } from "./clip_card.js";
import { Fetching } from "./fetching.js";
import { mounting } from "../viewer/mounting.js";

const WHOLE = 300;
const SPANS = [300, 60, 30];
const FIRST_SPAN = { BAS: 60, RESP: 300, EKG: 30, EMG: 60 }; // what a technician reads these signals at
const GAINS = [0.25, 0.5, 1, 2, 4];
const MOST_BORROWED = 3;
const NARROWEST = 600; // pixels a clip

export const mount = mounting((parent) => new Clips(parent));

class Clips {
  constructor(parent) {
    this.visit = 0;
    this.cards = [];
    this.shared = { fetching: new Fetching(), settings: new Settings(), gain: 1, part: 0 };
    this.toolbar = element("div", { className: "toolbar" });
    this.query = element("section", { className: "cards query" });
    this.grid = element("section", { className: "cards" });
    this.query.setAttribute("aria-label", "The query");
    this.grid.setAttribute("aria-label", "Its neighbours");
    this.columns = element("div", { className: "columns" }, [this.query, this.grid]);
    this.root = element("div", { className: "clips", data: { sleepfm: "clips" } }, [this.toolbar, this.columns]);
    parent.append(this.root);
    this.resize = new ResizeObserver(() => this.resized());
    this.resize.observe(this.root);
  }

  close() {
    this.resize.disconnect();
    this.root.remove();
  }

  update({ data, setTriggerValue }) {
    this.visit += 1;
    this.setTriggerValue = setTriggerValue;
    const content = JSON.stringify([data.query, data.neighbours]);
    if (content === this.content) return this.visit;
    this.content = content;
    const target = this.data?.query.target;
    this.data = data;
    Object.assign(this.shared, { routes: data.routes, theme: data.theme });
    if (target !== data.query.target) {
      this.choose("target");
      this.shared.span = FIRST_SPAN[data.query.target];
      this.shared.part = 0;
    }
    this.build();
    return this.visit;
  }

  /** Which traces: those of the target, those the query was asked with, or all. */
  choose(shown) {
    this.shown = shown;
    const { modality, target } = this.data.query;
    this.shared.modalities = { target: [target], query: [modality], all: this.data.modalities }[shown];
  }

  build() {
    const { query, neighbours } = this.data;
    const act = (action) => this.act(action);
    const both = [...new Set([query.modality, query.target])];
    const single = query.clips.length === 1;
    this.cards = query.clips.map((clip) => {
      const about = { ...clip, role: "asked", title: `Query, ${query.modality}`, modalities: this.shown === "all" ? null : both };
      const card = new ClipCard(about, this.shared, act);
      if (single) about.onClip = (found) => this.offerBorrowed(card, found);
      return card;
    });
    this.query.replaceChildren(...this.cards.map(({ root }) => root));
    const others = neighbours.map((clip) => new ClipCard({ ...clip, role: "neighbour", title: `${clip.number}` }, this.shared, act));
    this.grid.replaceChildren(...others.map(({ root }) => root));
    this.cards.push(...others);
    this.refresh();
    this.show();
  }

  /** Where the night lacks the target, or it is bad here: its nearest neighbours can stand in its place, said to be borrowed. */
  async offerBorrowed(card, clip) {
    const { query, neighbours } = this.data;
    const why = clip.wrong[query.target] || (await this.alarm(clip));
    const state = `${why} ${this.borrowing} ${this.shared.span} ${this.shared.part} ${this.shared.gain}`;
    if (card.borrowState === state || !this.cards.includes(card)) return;
    card.borrowState = state;
    if (!why || !neighbours.length) {
      card.extra.replaceChildren();
      return;
    }
    const toggle = element("button", {
      text: this.borrowing ? "Take the borrowed clips away" : `Show the ${query.target} of its nearest neighbours in its place`,
      on: { click: () => { this.borrowing = !this.borrowing; this.offerBorrowed(card, clip); } },
    });
    const said = element("b", { text: `${why[0].toUpperCase()}${why.slice(1)}.` });
    card.extra.replaceChildren(element("p", { className: "wrong" }, [said, " ", toggle]));
    if (!this.borrowing) return;
    const borrowed = neighbours.slice(0, MOST_BORROWED).map((one) => {
      const about = { ...one, role: "borrowed", title: `${one.number}`, modalities: [query.target] };
      return new ClipCard(about, this.shared, (action) => this.act(action));
    });
    card.extra.append(element("div", { className: "borrow", data: { sleepfm: "borrowed" } }, [
      element("p", { className: "alarm", text: `${query.target} borrowed from other nights, not measured in this one` }),
      ...borrowed.map(({ root }) => root),
    ]));
    for (const one of borrowed) one.show();
  }

  /** Why the target is not to be trusted in a clip although it is there, in a few words; "" when it is. */
  async alarm(clip) {
    const { query, agreement } = this.data;
    if (!agreement || agreement.study !== clip.study) return "";
    try {
      const judged = judgement(await agreementAt(agreement.url), query.target, clip.start_s);
      return judged?.flag === "alarm" ? `${query.target} does not fit the other signals here` : "";
    } catch {
      return ""; // the strip of the night says what went wrong
    }
  }

  refresh() {
    const { modality, target } = this.data.query;
    const { span, part, gain } = this.shared;
    const parts = WHOLE / span;
    const names = modality === target ? { target, all: "All" } : { target, query: modality, all: "All" };
    const group = (label, nodes) => {
      const node = element("span", { className: "group" }, nodes);
      node.setAttribute("role", "group");
      node.setAttribute("aria-label", label);
      return node;
    };
    const earlier = this.button("◀", "Earlier", () => this.change({ part: part - 1 }));
    const later = this.button("▶", "Later", () => this.change({ part: part + 1 }));
    earlier.disabled = part === 0;
    later.disabled = part >= parts - 1;
    const less = this.button("−", "Less gain", () => this.change({ gain: GAINS[GAINS.indexOf(gain) - 1] }));
    const more = this.button("+", "More gain", () => this.change({ gain: GAINS[GAINS.indexOf(gain) + 1] }));
    less.disabled = gain === GAINS[0];
    more.disabled = gain === GAINS.at(-1);
    const focused = this.toolbar.querySelector(":focus")?.getAttribute("aria-label");
    this.toolbar.replaceChildren(
      element("span", { className: "quiet", text: "Traces" }),
      group("Which traces", Object.entries(names).map(([key, text]) => this.button(text, `Traces: ${text}`, () => this.switchTo(key), this.shown === key))),
      element("span", { className: "quiet", text: "Time" }),
      group("How much time", SPANS.map((one) => {
        const text = one === WHOLE ? "5 min" : one === 60 ? "1 min" : "30 s";
        return this.button(text, `${text} on the screen`, () => this.change({ span: one, part: Math.floor((part * span) / one) }), span === one);
      })),
      ...(parts > 1 ? [group("Which part", [earlier, later]), element("span", { className: "quiet", text: `${part * span} to ${(part + 1) * span} s of the 5 min` })] : []),
      element("span", { className: "quiet", text: "Gain" }),
      group("Gain", [less, more]),
      element("span", { className: "quiet", text: gain === 1 ? "" : `× ${gain}` }),
    );
    if (focused) this.toolbar.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  button(text, label, action, isOn = null) {
    const node = element("button", { text, title: label, className: isOn ? "on" : "", on: { click: action } });
    node.type = "button";
    node.setAttribute("aria-label", label);
    if (isOn !== null) node.setAttribute("aria-pressed", String(isOn));
    return node;
  }

  switchTo(shown) {
    this.choose(shown);
    this.build();
  }

  change(what) {
    Object.assign(this.shared, what);
    this.refresh();
    this.show();
  }

  show() {
    for (const card of this.cards) card.show();
  }

  resized() {
    const width = this.root.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    // the query stays beside its neighbours, as wide as they are: the same stretch of time takes the same room
    const count = Math.max(1, Math.floor(width / NARROWEST));
    this.columns.style.gridTemplateColumns = count === 1 ? "1fr" : `minmax(0, 1fr) minmax(0, ${count - 1}fr)`;
    this.grid.style.gridTemplateColumns = `repeat(${Math.max(1, count - 1)}, minmax(0, 1fr))`;
    this.columns.classList.toggle("beside", count > 1);
    clearTimeout(this.resizeTimer);
    this.resizeTimer = setTimeout(() => this.show(), 80);
  }

  act(action) {
    if (action.do === "part") this.change({ part: Math.floor((action.fraction * WHOLE) / this.shared.span) });
    else this.setTriggerValue("action", { ...action, nonce: Date.now() });
  }
}
