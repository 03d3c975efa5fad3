// The whole night above the traces: hypnograms, hypnodensity, spectrogram and signal quality on one time axis.

import { clockPhase, clockText, elapsedText, tickStep } from "./clock.js";
import { element, sizedContext } from "./dom.js";
import { FONT, GUTTER, RIGHT, fitted } from "./layout.js";
import { GROUPS, kindOf } from "./event_kinds.js";
import {
  describeEvents, drawAxis, drawDensity, drawEventTicks, drawHypnogram, drawMarks, drawQuality, drawSpectrogram, hypnogramParts, stageLevels,
} from "./overview_rows.js";
import { SpectrogramImage } from "./spectrogram.js";
import { flagsAt, qualityStrips } from "./quality.js";

const GAP_BETWEEN = 4;
const CLICK_PIXELS = 3; // a hand is not quite steady
const QUALITY_ROW = 9;
const EVENT_ROW = 8;
const WARNING_INK = "#8a2c0d"; // as the line above the night
const ROOM_FOR_LETTERS = 40;
const NAME_ROOM = GUTTER - 30; // beside it stand the stages
// Which spectrogram somebody chose for a study: it stays when a scoring arrives or they come back.
const chosenSpectrograms = new Map();

export class Overview {
  /** `goTo(epoch)` follows a click; `act` takes selections: { select: [anchor, head, isDone] }, { selectTo: epoch }. */
  constructor(goTo, act) {
    this.goTo = goTo;
    this.act = act;
    this.gutter = element("canvas", { className: "gutter" });
    this.cursor = element("div", { className: "cursor" });
    this.windowBand = element("div", { className: "window" });
    this.selectionBand = element("div", { className: "selection" });
    this.selectionBand.hidden = true;
    this.tooltip = element("div", { className: "tooltip" });
    this.tooltip.hidden = true;
    this.channel = element("select", { className: "spectrogram-channel", title: "Channel of the spectrogram" });
    this.channel.setAttribute("aria-label", "Channel of the spectrogram");
    this.channel.addEventListener("change", () => {
      chosenSpectrograms.set(this.night.study, this.night.spectrograms[this.channel.selectedIndex].trace);
      this.loadSpectrogram();
    });
    this.rows = {};
    this.plots = element("div", { className: "plots" });
    for (const name of ["hypnogram", "marks", "density", "spectrogram", "events", "quality", "axis"]) {
      const canvas = element("canvas");
      const box = element("div", { className: `plot ${name}`, data: name === "hypnogram" ? { sleepfm: "hypnogram" } : {} }, [canvas]);
      this.rows[name] = { name, box, canvas, height: 0, top: 0 };
      box.addEventListener("click", (event) => this.click(event));
      box.addEventListener("pointermove", (event) => this.hover(name, event));
      this.plots.append(box);
    }
    this.listenForSelections(this.rows.hypnogram.box);
    this.plots.append(this.selectionBand, this.windowBand, this.cursor);
    this.plots.addEventListener("pointerleave", () => this.endHover());
    this.root = element("div", { className: "overview" }, [this.gutter, this.channel, this.plots, this.tooltip]);
    this.onKey = () => this.endHover(); // what it says may hold no more, and the eyes are elsewhere
    window.addEventListener("keydown", this.onKey, { capture: true });
  }

  /** `events` is the EventLayer. */
  open(night, theme, route, events) {
    this.events = events;
    this.night = night;
    this.theme = theme;
    this.route = route;
    this.spectrogram = null;
    this.strips = night.quality ? qualityStrips(night.quality) : [];
    this.channel.replaceChildren(...night.spectrograms.map(({ label }) => element("option", { text: label })));
    const chosen = night.spectrograms.findIndex(({ trace }) => trace === chosenSpectrograms.get(night.study));
    this.channel.selectedIndex = chosen >= 0 ? chosen : night.spectrograms.findIndex(({ first }) => first);
    this.width = 0;
    this.loadSpectrogram();
  }

  async loadSpectrogram() {
    const chosen = this.night.spectrograms[Math.max(0, this.channel.selectedIndex)];
    if (!chosen) return;
    const { night } = this;
    const image = await SpectrogramImage.load(`${this.route}?${new URLSearchParams({ study: night.study, trace: chosen.trace })}`);
    if (this.night !== night) return;
    this.spectrogram = image;
    this.redraw();
  }

  redraw() {
    this.width = 0;
    this.relayout();
  }

  /** Heights of the rows for the height the viewer has. */
  heights() {
    const { night } = this;
    const room = Math.min(1.7, Math.max(1, this.root.parentElement.clientHeight / 640));
    const scored = night.scorings.length;
    return {
      hypnogram: scored ? Math.round((scored === 1 ? 70 : night.compared ? 2 * 46 : 74) * room) : 30,
      marks: night.marked.length || night.compared ? 9 : 0, // it stays when the last one goes
      density: night.scorings.some((scoring) => scoring.probabilities) ? Math.round(30 * room) : 0,
      spectrogram: night.spectrograms.length ? Math.round(46 * room) : 0,
      events: night.events.some(({ name }) => kindOf(name).group) ? GROUPS.length * EVENT_ROW : 0,
      quality: this.strips.length * QUALITY_ROW,
      axis: 16,
    };
  }

  relayout() {
    if (!this.night) return;
    const heights = this.heights();
    const width = this.root.clientWidth - GUTTER - RIGHT;
    const total = JSON.stringify([width, heights, this.spectrogram?.url]);
    if (total === this.laidOut && this.width) return;
    this.laidOut = total;
    this.width = width;
    this.endHover();
    let top = 2;
    for (const row of Object.values(this.rows)) {
      row.height = heights[row.name];
      row.top = top;
      row.box.hidden = row.height === 0;
      Object.assign(row.box.style, { top: `${top}px`, height: `${row.height}px` });
      if (row.height) top += row.height + (row.name === "quality" || row.name === "hypnogram" ? 1 : GAP_BETWEEN);
    }
    this.height = top;
    this.root.style.height = `${top}px`;
    this.plots.style.left = `${GUTTER}px`;
    this.plots.style.width = `${width}px`;
    this.draw();
    this.placeSelection();
    if (this.place) this.moveCursor(...this.place);
  }

  scene() {
    const { night, theme, width } = this;
    const { lights } = this.events.index;
    return { night, theme, width, lights, unscored: this.unscored, perEpoch: width / night.epochs, perSecond: width / (night.epochs * 30) };
  }

  /** A row's canvas, empty. */
  cleared(row) {
    const drawing = sizedContext(row.canvas, this.width, row.height);
    drawing.clearRect(0, 0, this.width, row.height);
    return drawing;
  }

  draw() {
    const { night } = this;
    this.rows.hypnogram.box.setAttribute("aria-label", night.scorings.length ? "Hypnogram" : this.unscored || "Hypnogram");
    const { density, spectrogram, quality, axis } = this.rows;
    const scene = this.scene();
    this.drawScored(scene);
    if (density.height) drawDensity(this.cleared(density), scene, density.height);
    if (spectrogram.height) drawSpectrogram(this.cleared(spectrogram), scene, spectrogram.height, this.spectrogram);
    this.drawEvents(scene);
    if (quality.height) drawQuality(this.cleared(quality), scene, quality.height, this.strips);
    drawAxis(this.cleared(axis), scene, this.ticks(night.epochs * 30));
    this.drawGutter();
  }

  drawEvents(scene) {
    const { events } = this.rows;
    if (!events.height) return;
    const marks = this.events.index.columns(GROUPS, Math.max(1, Math.round(this.width)), scene.night.epochs * 30);
    drawEventTicks(this.cleared(events), scene, events.height, marks);
  }

  /** What an edit of stages or lights changes. */
  drawScored(scene) {
    const { hypnogram, marks } = this.rows;
    const context = this.cleared(hypnogram);
    drawHypnogram(context, scene, hypnogram.height);
    if (scene.night.scorings[0]?.proposed) drawChanged(context, scene, hypnogramParts(scene.night, hypnogram.height)[0].height);
    if (marks.height) drawMarks(this.cleared(marks), scene, marks.height);
  }

  ticks(seconds) {
    const step = Math.max(60, tickStep(seconds, this.width, 64));
    const ticks = [];
    for (let t = clockPhase(this.night.start, step); t <= seconds; t += step) {
      ticks.push({ at: t, text: clockText(this.night.start, t, { withSeconds: !this.night.start }) });
    }
    return ticks;
  }

  drawGutter() {
    const { night, theme, rows } = this;
    const context = sizedContext(this.gutter, GUTTER, this.height);
    context.clearRect(0, 0, GUTTER, this.height);
    context.textBaseline = "middle";
    const name = (text, middle, room = 70) => {
      context.font = `600 11px ${FONT}`;
      context.textAlign = "left";
      context.fillStyle = theme.ink;
      context.fillText(fitted(context, text, room), 6, middle);
    };
    const unit = (text, middle) => {
      context.font = `9px ${FONT}`;
      context.textAlign = "right";
      context.fillStyle = theme.quietInk;
      context.fillText(text, GUTTER - 6, middle);
    };
    const scored = night.scorings.length;
    hypnogramParts(night, rows.hypnogram.height).forEach(({ top: above, height: part }, index) => {
      const scoring = night.scorings[index];
      const top = rows.hypnogram.top + above;
      name(scoring.label, top + part / 2 - (scoring.note ? 6 : 0), NAME_ROOM);
      if (scoring.note) {
        context.font = `9px ${FONT}`;
        context.fillStyle = scoring.warning ? WARNING_INK : theme.quietInk;
        context.fillText(fitted(context, scoring.note, NAME_ROOM), 6, top + part / 2 + 7);
      }
      for (const { short, y, colour } of stageLevels(theme, part)) {
        // letters in ink, the colour beside them: N1 and Wake are too light to be read
        context.fillStyle = colour;
        context.fillRect(GUTTER - 6, top + y - 3, 4, 6);
        if (part < ROOM_FOR_LETTERS) continue; // they stand above
        context.font = `600 9px ${FONT}`;
        context.textAlign = "right";
        context.fillStyle = theme.ink;
        context.fillText(short, GUTTER - 9, top + y);
      }
    });
    if (!scored) name("Hypnogram", rows.hypnogram.top + rows.hypnogram.height / 2, 110);
    if (rows.marks.height) {
      context.font = `9px ${FONT}`;
      context.textAlign = "left";
      context.fillStyle = theme.disagreement;
      context.fillText(night.compared ? "scorings differ" : "least certain", 6, rows.marks.top + rows.marks.height / 2);
    }
    if (rows.density.height) {
      name("Probability", rows.density.top + rows.density.height / 2, 90);
      unit("1", rows.density.top + 5);
      unit("0", rows.density.top + rows.density.height - 4);
    }
    this.channel.hidden = !rows.spectrogram.height;
    if (rows.spectrogram.height) {
      const { top, height } = rows.spectrogram;
      this.channel.style.top = `${top + height / 2 - 10}px`;
      unit(this.spectrogram ? `${Math.round(this.spectrogram.highHz)} Hz` : "Hz", top + 5);
      unit("0", top + height - 4);
    }
    if (rows.events.height) {
      name("Events", rows.events.top + rows.events.height / 2);
      const pitch = rows.events.height / GROUPS.length;
      GROUPS.forEach(({ short }, line) => {
        context.font = `9px ${FONT}`;
        context.textAlign = "right";
        context.fillStyle = theme.quietInk;
        context.fillText(short, GUTTER - 6, rows.events.top + (line + 0.5) * pitch);
      });
    }
    if (rows.quality.height) name("Quality", rows.quality.top + rows.quality.height / 2);
    this.strips.forEach((strip, row) => unit(strip.name, rows.quality.top + (row + 0.5) * QUALITY_ROW));
    name(night.start ? "Clock time" : "Elapsed", rows.axis.top + 8, 110);
  }

  moveCursor(epoch, view) {
    this.place = [epoch, view];
    const perSecond = this.width / (this.night.epochs * 30);
    const middle = (epoch - 0.5) * 30 * perSecond;
    const height = this.rows.axis.top - 2;
    this.cursor.style.transform = `translateX(${Math.round(middle) - 1}px)`;
    this.cursor.style.height = `${height}px`;
    const span = view.stop - view.start;
    this.windowBand.hidden = span <= 30 || span >= this.night.epochs * 30;
    this.windowBand.style.transform = `translateX(${view.start * perSecond}px)`;
    this.windowBand.style.width = `${Math.min(span, this.night.epochs * 30 - view.start) * perSecond}px`;
    this.windowBand.style.height = `${height}px`;
  }

  /** The review was edited: draw with the next frame what shows it, and nothing else. */
  edited({ events }) {
    this.endHover();
    this.isEventRowStale ||= events;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!(this.width > 0)) return;
      const scene = this.scene();
      this.drawScored(scene);
      if (!this.isEventRowStale) return;
      this.isEventRowStale = false;
      if (Boolean(this.rows.events.height) === Boolean(this.heights().events)) this.drawEvents(scene);
      else this.redraw();
    });
  }

  /** Show which epochs are selected; null for none. */
  select(selection) {
    this.selection = selection;
    this.selectionBand.hidden = !selection;
    if (selection) this.placeSelection();
  }

  placeSelection() {
    if (!this.selection) return;
    const perEpoch = this.width / this.night.epochs;
    const { from, to } = this.selection;
    this.selectionBand.style.transform = `translateX(${(from - 1) * perEpoch}px)`;
    this.selectionBand.style.width = `${Math.max(2, (to - from + 1) * perEpoch)}px`;
    this.selectionBand.style.top = `${this.rows.hypnogram.top}px`;
    this.selectionBand.style.height = `${this.rows.hypnogram.height}px`;
  }

  /** Dragging over the hypnogram selects epochs, Shift and a click extends; a click that stays a click goes there. */
  listenForSelections(box) {
    let anchor = null; // { epoch, x } while the button is down
    let isDragging = false;
    box.addEventListener("pointerdown", (event) => {
      isDragging = false;
      if (event.button !== 0 || event.shiftKey || !this.night) return;
      anchor = { epoch: this.epochAt(event), x: event.clientX };
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener("pointermove", (event) => {
      if (!anchor || (!isDragging && Math.abs(event.clientX - anchor.x) <= CLICK_PIXELS)) return;
      isDragging = true;
      this.act({ select: [anchor.epoch, this.epochAt(event), false] });
    });
    box.addEventListener("pointerup", (event) => {
      if (isDragging) this.act({ select: [anchor.epoch, this.epochAt(event), true] });
      anchor = null;
    });
    box.addEventListener("pointercancel", () => { anchor = null; });
    box.addEventListener("click", (event) => {
      if (isDragging || event.shiftKey) event.stopImmediatePropagation();
      if (event.shiftKey && this.night) this.act({ selectTo: this.epochAt(event) });
    }, { capture: true });
  }

  epochAt(event) {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const fraction = (event.clientX - left) / width;
    return Math.min(this.night.epochs, Math.max(1, Math.floor(fraction * this.night.epochs) + 1));
  }

  click(event) {
    if (!this.night) return;
    if (this.selection) this.act({ escape: true });
    this.goTo(this.epochAt(event));
  }

  hover(row, event) {
    if (!this.night) return;
    const epoch = this.epochAt(event);
    const seconds = (epoch - 1) * 30;
    const lines = [`Epoch ${epoch} · ${clockText(this.night.start, seconds)}${this.night.start ? ` · ${elapsedText(seconds)} elapsed` : ""}`];
    if (row === "quality") lines.push(...flagsAt(this.night.quality, epoch));
    else if (row === "events") lines.push(...describeEvents(this.events.index, this.night, seconds + 15, 15));
    else if (row === "spectrogram") lines.push(this.spectrogram?.describe(epoch, event) ?? "");
    else lines.push(...this.night.scorings.map((scoring) => this.describeStage(scoring, epoch)));
    const mark = row === "marks" && this.night.to_review.find((item) => Math.abs(item.epoch - epoch) <= 1);
    if (mark) lines.push(mark.why);
    this.tooltip.replaceChildren(...lines.filter(Boolean).map((text) => element("div", { text })));
    this.tooltip.hidden = false;
    const box = this.root.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 14, box.width - this.tooltip.offsetWidth - 4);
    this.tooltip.style.transform = `translate(${Math.max(0, x)}px, ${event.clientY - box.top + 16}px)`;
  }

  endHover() {
    this.tooltip.hidden = true;
  }

  close() {
    window.removeEventListener("keydown", this.onKey, { capture: true });
    cancelAnimationFrame(this.frame);
  }

  describeStage(scoring, epoch) {
    const stages = this.theme.stages;
    const number = scoring.stages[epoch - 1] ?? -1;
    const short = stages.find((stage) => stage.number === number)?.short ?? "not scored";
    const begun = scoring.proposed?.[epoch - 1] ?? number;
    if (begun !== number) return `${scoring.label}: ${short}   (black line: changed, begun as ${stages.find((stage) => stage.number === begun)?.short ?? "not scored"})`;
    // a person's stage has no probability; that of what it began from stands beside that
    if (!scoring.probabilities || number < 0 || scoring.proposed) return `${scoring.label}: ${short}`;
    const all = stages.map((stage) => `${stage.short} ${(scoring.probabilities[(epoch - 1) * 5 + stage.number] / 65535).toFixed(2)}`);
    return `${scoring.label}: ${short}   (${all.join(", ")})`;
  }
}

/** A thin line below the epochs to which a person gave another stage than the proposal's. */
function drawChanged(context, { night, theme, perEpoch }, height) {
  const { stages, proposed } = night.scorings[0];
  context.fillStyle = theme.ink;
  stages.forEach((stage, at) => {
    if (stage !== (proposed[at] ?? -1)) context.fillRect(at * perEpoch, height - 4, Math.max(1, perEpoch), 2);
  });
}
