// The night a query is taken from: its hypnogram, how well its modalities agree, and which five minutes are chosen.

import { clockPhase, clockText, elapsedText, tickStep } from "../viewer/clock.js";
import { element, sizedContext } from "../viewer/dom.js";
import { FONT, GUTTER, RIGHT, fitted } from "../viewer/layout.js";
import { drawAxis, drawHypnogram, drawQuality, stageLevels } from "../viewer/overview_rows.js";
import { agreementAt, judgement } from "./agreement.js";
import { mounting } from "../viewer/mounting.js";

const WINDOW = 300;
const HYPNOGRAM = 58;
const STRIP = 10;
const AXIS = 17;
const TOP = 4;
const CHOSEN_DELAY_MS = 150; // arrow keys held down ask once, at the end
const LEVELS = { good: "good", doubtful: "noted", alarm: "bad", "": "gap" };
const WORDS = { good: "agrees", doubtful: "doubtful", alarm: "alarm", "": "not judged" };
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -6, PageDown: 6, Home: -Infinity, End: Infinity };

export const mount = mounting((parent) => new Night(parent));

class Night {
  constructor(parent) {
    this.visit = 0;
    this.gutter = element("canvas", { className: "gutter" });
    this.canvas = element("canvas", { className: "plot" });
    this.chosen = element("div", { className: "window" });
    this.others = element("div");
    this.tooltip = element("div", { className: "tooltip" });
    this.tooltip.hidden = true;
    this.picture = element("div", { className: "picture" }, [this.gutter, this.canvas, this.others, this.chosen, this.tooltip]);
    this.picture.style.position = "relative";
    this.whys = element("div", { className: "whys" });
    this.root = element("div", { className: "night", data: { sleepfm: "night" } }, [this.picture, this.whys]);
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "slider");
    this.root.setAttribute("aria-label", "Which five minutes of the night. Arrow keys choose.");
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("click", (event) => { this.root.focus({ preventScroll: true }); this.choose(this.windowAt(event)); });
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tooltip.hidden = true; });
    parent.append(this.root);
    this.resize = new ResizeObserver(() => this.relayout());
    this.resize.observe(this.root);
  }

  close() {
    clearTimeout(this.timer);
    this.resize.disconnect();
    this.root.remove();
  }

  update({ data, setTriggerValue }) {
    this.visit += 1;
    this.setTriggerValue = setTriggerValue;
    const before = this.data;
    this.data = data;
    if (!before || before.nonce !== data.nonce || before.night.study !== data.night.study) this.window = Math.floor(data.at / WINDOW);
    if (!before || before.agreement !== data.agreement) this.loadAgreement();
    this.width = 0;
    this.relayout();
    return this.visit;
  }

  get count() {
    return Math.max(1, Math.ceil(this.data.night.duration_s / WINDOW));
  }

  async loadAgreement() {
    const { agreement: url } = this.data;
    this.agreement = null;
    this.failure = "";
    if (!url) return;
    try {
      const found = await agreementAt(url);
      if (this.data.agreement !== url) return;
      this.agreement = found;
    } catch (error) {
      if (this.data.agreement !== url) return;
      this.failure = error.message;
    }
    this.width = 0;
    this.relayout();
  }

  strips() {
    const { epochs } = this.data.night;
    return (this.agreement?.strips ?? []).map((strip) => {
      const levels = new Array(epochs).fill("gap");
      strip.flags.forEach((flag, index) => {
        const first = Math.round(this.agreement.starts[index] / 30);
        levels.fill(LEVELS[flag], first, Math.min(epochs, first + WINDOW / 30));
      });
      return { name: strip.modality, levels };
    });
  }

  relayout() {
    if (!this.data) return;
    const width = this.root.clientWidth - GUTTER - RIGHT;
    if (width <= 0 || width === this.width) return;
    this.width = width;
    this.perSecond = width / (this.data.night.epochs * 30);
    this.draw();
    this.place();
    this.explain();
  }

  draw() {
    const { night, theme, unscored } = this.data;
    const strips = this.strips();
    const quality = strips.length * STRIP;
    this.height = TOP + HYPNOGRAM + 2 + quality + AXIS;
    this.picture.style.height = `${this.height}px`;
    this.canvas.style.left = `${GUTTER}px`;
    const context = sizedContext(this.canvas, this.width, this.height);
    context.clearRect(0, 0, this.width, this.height);
    const scene = { night, theme, width: this.width, unscored, perEpoch: this.width / night.epochs, perSecond: this.perSecond };
    context.translate(0, TOP);
    drawHypnogram(context, scene, HYPNOGRAM);
    context.translate(0, HYPNOGRAM + 2);
    if (quality) drawQuality(context, scene, quality, strips);
    context.translate(0, quality);
    drawAxis(context, scene, this.ticks());
    this.drawGutter(strips);
  }

  ticks() {
    const { night } = this.data;
    const seconds = night.epochs * 30;
    const step = Math.max(60, tickStep(seconds, this.width, 64));
    const ticks = [];
    for (let t = clockPhase(night.start, step); t <= seconds; t += step) {
      ticks.push({ at: t, text: clockText(night.start, t, { withSeconds: !night.start }) });
    }
    return ticks;
  }

  drawGutter(strips) {
    const { night, theme } = this.data;
    const context = sizedContext(this.gutter, GUTTER, this.height);
    context.clearRect(0, 0, GUTTER, this.height);
    context.textBaseline = "middle";
    const name = (text, y, font = `600 11px ${FONT}`) => {
      context.font = font;
      context.textAlign = "left";
      context.fillStyle = theme.ink;
      context.fillText(fitted(context, text, GUTTER - 34), 6, y);
    };
    const [scoring] = night.scorings;
    name(scoring ? scoring.label : "Hypnogram", TOP + HYPNOGRAM / 2);
    for (const { short, y, colour } of scoring ? stageLevels(theme, HYPNOGRAM) : []) {
      context.fillStyle = colour;
      context.fillRect(GUTTER - 6, TOP + y - 3, 4, 6);
      context.font = `600 9px ${FONT}`;
      context.textAlign = "right";
      context.fillStyle = theme.ink;
      context.fillText(short, GUTTER - 9, TOP + y);
    }
    const top = TOP + HYPNOGRAM + 2;
    if (strips.length) name("Agreement", top + (strips.length * STRIP) / 2);
    strips.forEach((strip, row) => {
      context.font = `9px ${FONT}`;
      context.textAlign = "right";
      context.fillStyle = theme.quietInk;
      context.fillText(strip.name, GUTTER - 6, top + (row + 0.5) * STRIP);
    });
    name(night.start ? "Clock time" : "Elapsed", this.height - 9);
  }

  /** Mark the chosen window and the query's other clips of this night. */
  place() {
    const box = (node, start) => Object.assign(node.style, {
      left: `${GUTTER + start * this.perSecond}px`,
      width: `${Math.max(4, Math.min(WINDOW, this.data.night.epochs * 30 - start) * this.perSecond)}px`,
      height: `${this.height - AXIS}px`,
    });
    const start = this.window * WINDOW;
    box(this.chosen, start);
    this.root.dataset.at = String(start);
    this.root.setAttribute("aria-valuemin", "0");
    this.root.setAttribute("aria-valuemax", String(this.count - 1));
    this.root.setAttribute("aria-valuenow", String(this.window));
    this.root.setAttribute("aria-valuetext", this.timeText(start));
    this.others.replaceChildren(...this.data.clips.map((at) => {
      const node = element("div", { className: "also", title: "A clip of the query" });
      box(node, at);
      return node;
    }));
  }

  timeText(seconds) {
    const { start } = this.data.night;
    return start ? `${clockText(start, seconds)}, ${elapsedText(seconds)} after the start` : `${elapsedText(seconds)} after the start`;
  }

  /** What the strips say, in words; the alarms first. */
  explain() {
    const { theme } = this.data;
    if (!this.agreement) {
      const text = this.failure || (this.data.agreement ? "Comparing this night's modalities with each other …" : "");
      this.whys.hidden = !text;
      const again = element("button", { text: "Try again", on: { click: () => { this.loadAgreement(); this.explain(); } } });
      this.whys.replaceChildren(element("div", {}, [text, ...(this.failure ? [again] : [])]));
      this.root.dataset.agreement = this.failure || !text ? "none" : "loading";
      return;
    }
    const order = ["alarm", "doubtful"];
    const square = (flag) => {
      const node = element("i");
      node.style.background = theme.quality[LEVELS[flag]];
      return node;
    };
    const spoken = grouped(this.agreement.strips.filter(({ flag }) => order.includes(flag)))
      .sort((a, b) => order.indexOf(a.flag) - order.indexOf(b.flag));
    const lines = spoken.map(({ flag, modalities, why }) => element("div", {}, [
      square(flag), element("span", {}, [element("b", { text: `${modalities.join(", ")} ${WORDS[flag]}: ` }), why]),
    ]));
    const people = `compared with ${this.agreement.windows.toLocaleString("en")} windows of ${this.agreement.people} other ${this.agreement.people === 1 ? "person" : "people"}`;
    const key = element("div", { className: "key" }, [
      element("span", { text: spoken.length ? `Agreement of the modalities, ${people}.` : `The modalities of this night fit together, ${people}.` }),
      ...Object.entries(WORDS).map(([flag, word]) => element("span", {}, [square(flag), word])),
      ...this.agreement.notes.map((note) => element("span", { text: note })),
    ]);
    this.whys.hidden = false;
    this.whys.replaceChildren(...lines, key);
    this.root.dataset.agreement = spoken.length ? spoken.map(({ flag, modalities }) => `${modalities.join(",")}:${flag}`).join(" ") : "good";
  }

  key(event) {
    const step = STEPS[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.window + step);
  }

  choose(number) {
    const next = Math.min(this.count - 1, Math.max(0, number));
    if (next === this.window) return;
    this.window = next;
    this.place();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.setTriggerValue("place", { study: this.data.night.study, at: next * WINDOW });
    }, CHOSEN_DELAY_MS);
  }

  windowAt(event) {
    return Math.floor(event.offsetX / this.perSecond / WINDOW);
  }

  hover(event) {
    const number = Math.min(this.count - 1, Math.max(0, this.windowAt(event)));
    const lines = [this.timeText(number * WINDOW)];
    const row = Math.floor((event.offsetY - TOP - HYPNOGRAM - 2) / STRIP);
    const strip = this.agreement?.strips[row];
    if (strip) {
      const { flag = "", score = null } = judgement(this.agreement, strip.modality, number * WINDOW) ?? {};
      lines.push(`${strip.modality}: ${WORDS[flag]}${score === null ? "" : ` (${score.toFixed(2)} of 1)`}`);
    }
    this.tooltip.replaceChildren(...lines.map((text) => element("div", { text })));
    this.tooltip.hidden = false;
    const x = Math.min(GUTTER + event.offsetX + 14, this.root.clientWidth - this.tooltip.offsetWidth - 4);
    this.tooltip.style.transform = `translate(${Math.max(0, x)}px, ${event.offsetY + 16}px)`;
  }
}

/** What is said of several modalities in the same words is said once. */
function grouped(strips) {
  const said = new Map();
  for (const { flag, why, modality } of strips) {
    const known = said.get(`${flag} ${why}`);
    if (known) known.modalities.push(modality);
    else said.set(`${flag} ${why}`, { flag, why, modalities: [modality] });
  }
  return [...said.values()];
}
