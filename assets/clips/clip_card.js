// One clip with its heading. What is drawn is fetched when it is wanted; what was drawn before stays until then.

import { element, sizedContext } from "../viewer/dom.js";
import { NAMES, RIGHT, drawClip, heightFor, isInStages } from "./clip_drawing.js";

const MAX_BINS = 4096;

export class ClipCard {
  /**
   * about: { study, start, number, time, about, similarity, href, title }; `shared` is what all cards draw with.
   */
  constructor(about, shared, act) {
    this.about = about;
    this.shared = shared;
    this.act = act;
    this.canvas = element("canvas");
    this.notice = element("p", { className: "notice", text: "Loading …" });
    this.box = element("div", { className: "drawing" }, [this.canvas, this.notice]);
    this.extra = element("div", { className: "extra" });
    const data = { sleepfm: "clip", study: about.study, start: String(about.start), role: about.role };
    this.root = element("article", { className: `card ${about.role}`, data }, [this.header(), this.box, this.extra]);
    this.canvas.addEventListener("click", (event) => this.click(event));
  }

  header() {
    const { about } = this;
    const link = element("a", { text: about.study, title: "Open this epoch in review" });
    link.href = about.href;
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as everywhere on the web
      event.preventDefault();
      this.act({ do: "open", study: about.study, start: about.start });
    });
    const parts = [
      element("span", { className: "number", text: about.title }),
      link,
      element("span", { className: "time", text: about.time, title: "Time of night" }),
      element("span", { className: "about", text: about.about }),
    ];
    if (about.similarity) parts.push(element("span", { className: "similarity", text: about.similarity, title: "Cosine of the two embeddings, -1 to 1" }));
    if (about.role === "neighbour") {
      parts.push(
        this.button("Ask with this", `Ask with ${about.study} at this time`, "use"),
        this.button("Add", `Add ${about.study} at this time to the query: the mean of all its clips is looked for`, "add"),
      );
    }
    return element("header", {}, parts);
  }

  button(text, title, what) {
    const node = element("button", { text, title, on: { click: () => this.act({ do: what, study: this.about.study, start: this.about.start }) } });
    node.type = "button";
    return node;
  }

  /** The part of this clip that is on the screen. */
  view() {
    const { span, part } = this.shared;
    const start = this.about.start + part * span;
    return { start, stop: start + span };
  }

  /** Fetch and draw; the last call wins. */
  async show() {
    const width = this.box.clientWidth;
    if (!width) return;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const { fetching, routes } = this.shared;
    const modalities = this.about.modalities ?? this.shared.modalities;
    const query = new URLSearchParams({ study: this.about.study, start: this.about.start, modalities: modalities.join(".") });
    try {
      const clip = await fetching.json(`${routes.clip}?${query}`);
      if (turn !== this.turn) return;
      this.clip = clip;
      this.about.onClip?.(clip);
      if (!clip.traces.length) {
        this.say(`${sentence(Object.values(clip.wrong).find(Boolean) ?? "no traces here")}.`);
        return;
      }
      const view = this.view();
      const windows = await fetching.windows(this.windowUrl(clip, view, width));
      if (turn !== this.turn) return;
      this.draw(clip, windows, view, width);
    } catch (error) {
      if (turn === this.turn) this.say(error.message, () => this.show());
    }
  }

  windowUrl(clip, view, width) {
    const { routes, settings } = this.shared;
    const bins = Math.min(MAX_BINS, Math.max(16, Math.round((width - NAMES - RIGHT) * (window.devicePixelRatio || 1))));
    const traces = clip.traces.map((trace) => {
      const { high, low, notch } = settings.filter(trace);
      return [trace.key, high ?? "", low ?? "", notch ?? ""].join("_");
    });
    const query = new URLSearchParams({ study: this.about.study, start: view.start, stop: view.stop, bins, traces: traces.join("~") });
    return `${routes.window}?${query}`;
  }

  draw(clip, windows, view, width) {
    const { theme, settings, gain } = this.shared;
    const height = heightFor(clip.traces);
    this.notice.hidden = true;
    this.canvas.hidden = false;
    const context = sizedContext(this.canvas, width, height);
    drawClip(context, { clip, windows, view, width, height, theme, settings, gain });
    this.canvas.title = [clip.scorer ? `Stages: ${clip.scorer}` : "", clip.simulated ? "Simulated recording" : ""].filter(Boolean).join("\n");
    this.root.dataset.drawn = `${view.start}-${view.stop}`;
    this.root.dataset.traces = clip.traces.map(({ label }) => label).join(" ");
  }

  say(text, retry) {
    this.canvas.hidden = true;
    delete this.root.dataset.drawn;
    this.notice.replaceChildren(text);
    if (retry) this.notice.append(" ", element("button", { text: "Try again", on: { click: retry } }));
    this.notice.hidden = false;
  }

  /** A click in the stages goes to that part of all clips. */
  click(event) {
    if (!isInStages(event.offsetY) || event.offsetX < NAMES) return;
    const fraction = (event.offsetX - NAMES) / (this.canvas.clientWidth - NAMES - RIGHT);
    this.act({ do: "part", fraction: Math.min(Math.max(fraction, 0), 0.999) });
  }
}

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}
