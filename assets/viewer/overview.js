// The whole night above the traces: hypnograms, hypnodensity, spectrogram and signal quality on one time axis.

import { clockPhase, clockText, elapsedText, tickStep } from "./clock.js";
import { element, sizedContext } from "./dom.js";
import { FONT, GUTTER, RIGHT, fitted } from "./layout.js";
import { drawAxis, drawDensity, drawHypnogram, drawMarks, drawQuality, drawSpectrogram, stageLevels } from "./overview_rows.js";
import { SpectrogramImage } from "./spectrogram.js";
import { flagsAt, qualityStrips } from "./quality.js";

const GAP_BETWEEN = 4;
const QUALITY_ROW = 9;
const WARNING_INK = "#8a2c0d"; // as the line above the night
const NAME_ROOM = GUTTER - 30; // beside it stand the stages
// Which spectrogram somebody chose for a study: it stays when a scoring arrives or they come back.
const chosenSpectrograms = new Map();

export class Overview {
  constructor(goTo) {
    this.goTo = goTo;
    this.gutter = element("canvas", { className: "gutter" });
    this.cursor = element("div", { className: "cursor" });
    this.windowBand = element("div", { className: "window" });
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
    for (const name of ["hypnogram", "marks", "density", "spectrogram", "quality", "axis"]) {
      const canvas = element("canvas");
      const box = element("div", { className: `plot ${name}`, data: name === "hypnogram" ? { sleepfm: "hypnogram" } : {} }, [canvas]);
      this.rows[name] = { name, box, canvas, height: 0, top: 0 };
      box.addEventListener("click", (event) => this.click(event));
      box.addEventListener("pointermove", (event) => this.hover(name, event));
      box.addEventListener("pointerleave", () => { this.tooltip.hidden = true; });
      this.plots.append(box);
    }
    this.plots.append(this.windowBand, this.cursor);
    this.root = element("div", { className: "overview" }, [this.gutter, this.channel, this.plots, this.tooltip]);
  }

  open(night, theme, route) {
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
      hypnogram: scored ? Math.round((scored > 1 ? 2 * 46 : 70) * room) : 30,
      marks: night.to_review.length ? 9 : 0,
      density: night.scorings.some((scoring) => scoring.probabilities) ? Math.round(30 * room) : 0,
      spectrogram: night.spectrograms.length ? Math.round(46 * room) : 0,
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
    if (this.place) this.moveCursor(...this.place);
  }

  draw() {
    const { night, theme, width } = this;
    this.rows.hypnogram.box.setAttribute("aria-label", night.scorings.length ? "Hypnogram" : this.unscored || "Hypnogram");
    const seconds = night.epochs * 30;
    const context = (row) => {
      const drawing = sizedContext(row.canvas, width, row.height);
      drawing.clearRect(0, 0, width, row.height);
      return drawing;
    };
    const { hypnogram, marks, density, spectrogram, quality, axis } = this.rows;
    const scene = { night, theme, width, unscored: this.unscored, perEpoch: width / night.epochs, perSecond: width / seconds };
    drawHypnogram(context(hypnogram), scene, hypnogram.height);
    if (marks.height) drawMarks(context(marks), scene, marks.height);
    if (density.height) drawDensity(context(density), scene, density.height);
    if (spectrogram.height) drawSpectrogram(context(spectrogram), scene, spectrogram.height, this.spectrogram);
    if (quality.height) drawQuality(context(quality), scene, quality.height, this.strips);
    drawAxis(context(axis), scene, this.ticks(seconds));
    this.drawGutter();
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
    const part = rows.hypnogram.height / Math.max(1, scored);
    night.scorings.forEach((scoring, index) => {
      const top = rows.hypnogram.top + index * part;
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
        context.font = `600 9px ${FONT}`;
        context.textAlign = "right";
        context.fillStyle = theme.ink;
        context.fillText(short, GUTTER - 9, top + y);
      }
    });
    if (!scored) name("Hypnogram", rows.hypnogram.top + part / 2, 110);
    if (rows.marks.height) {
      context.font = `9px ${FONT}`;
      context.textAlign = "left";
      context.fillStyle = theme.disagreement;
      context.fillText(scored > 1 ? "scorings differ" : "least certain", 6, rows.marks.top + rows.marks.height / 2);
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

  epochAt(event) {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const fraction = (event.clientX - left) / width;
    return Math.min(this.night.epochs, Math.max(1, Math.floor(fraction * this.night.epochs) + 1));
  }

  click(event) {
    if (this.night) this.goTo(this.epochAt(event));
  }

  hover(row, event) {
    if (!this.night) return;
    const epoch = this.epochAt(event);
    const seconds = (epoch - 1) * 30;
    const lines = [`Epoch ${epoch} · ${clockText(this.night.start, seconds)}${this.night.start ? ` · ${elapsedText(seconds)} elapsed` : ""}`];
    if (row === "quality") lines.push(...flagsAt(this.night.quality, epoch));
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

  describeStage(scoring, epoch) {
    const stages = this.theme.stages;
    const number = scoring.stages[epoch - 1] ?? -1;
    const short = stages.find((stage) => stage.number === number)?.short ?? "not scored";
    if (!scoring.probabilities || number < 0) return `${scoring.label}: ${short}`;
    const all = stages.map((stage) => `${stage.short} ${(scoring.probabilities[(epoch - 1) * 5 + stage.number] / 65535).toFixed(2)}`);
    return `${scoring.label}: ${short}   (${all.join(", ")})`;
  }
}
