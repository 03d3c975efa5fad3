// How the traces are shown: time base, montage, gain, filters, polarity, grid. Nothing here changes the recording.

import { spanText } from "./clock.js";
import { LAYOUTS } from "./keyboard.js";

const WHOLE_NIGHT = Infinity;
export const SPANS = [10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, WHOLE_NIGHT];
const GAIN_STEPS = [1, 1.5, 2, 3, 5, 7];
const REMEMBERED = ["spanIndex", "filtersOn", "notch", "negativeUp", "grid", "layoutName"];
const STORAGE_KEY = "sleepfm.viewer";
const EEG_LIKE = new Set(["EEG", "EOG"]);

export class Settings {
  constructor() {
    this.spanIndex = SPANS.indexOf(30);
    this.part = 0; // which 10 or 15 s of the epoch
    this.filtersOn = true;
    this.notch = 0;
    this.negativeUp = true;
    this.grid = true;
    this.layoutName = LAYOUTS[0].name; // how the stages lie on the keys
    this.montage = null;
    this.scroll = 0; // first channel shown when they do not all fit
    this.selected = null; // key of the selected trace
    this.inverted = new Set();
    this.scales = new Map(); // key → { per_lane, centre } chosen by the user
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}"));
    } catch {
      // a browser that keeps nothing, or something unreadable: the defaults serve
    }
    // A study opens at once; hours on one screen are asked for anew.
    if (!(SPANS[this.spanIndex] <= 600)) this.spanIndex = SPANS.indexOf(30);
  }

  remember() {
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(REMEMBERED.map((name) => [name, this[name]]))));
    } catch {
      // a browser that keeps nothing
    }
  }

  get layout() {
    return LAYOUTS.find(({ name }) => name === this.layoutName) ?? LAYOUTS[0];
  }

  chooseLayout(name) {
    this.layoutName = name;
    this.remember();
  }

  openNight(night) {
    this.traces = new Map(night.traces.map((trace) => [trace.key, trace]));
    if (!night.montages.some((montage) => montage.name === this.montage)) this.montage = night.montages[0]?.name ?? null;
    this.night = night;
    if (!this.montageTraces().some((trace) => trace.key === this.selected)) this.selected = null;
  }

  montageTraces() {
    const montage = this.night.montages.find((one) => one.name === this.montage);
    return montage ? montage.traces.map((key) => this.traces.get(key)) : [];
  }

  span(night) {
    return Math.min(SPANS[this.spanIndex], night.epochs * 30);
  }

  spanName(index = this.spanIndex) {
    return SPANS[index] === WHOLE_NIGHT ? "Whole night" : spanText(SPANS[index]);
  }

  /** The stretch of time that shows an epoch. */
  view(epoch, night, part = this.part) {
    const span = this.span(night);
    const start = (epoch - 1) * 30;
    if (span <= 30) {
      const from = start + Math.min(part, Math.round(30 / span) - 1) * span;
      return { start: from, stop: from + span };
    }
    if (SPANS[this.spanIndex] >= night.epochs * 30) return { start: 0, stop: night.epochs * 30 };
    const from = Math.floor(start / span) * span;
    return { start: from, stop: from + span };
  }

  /** The view `count` screens on, or null beyond the night. */
  neighbour(epoch, view, count, night) {
    const span = view.stop - view.start;
    if (span <= 30) {
      const other = epoch + count;
      return other >= 1 && other <= night.epochs ? this.view(other, night, 0) : null;
    }
    const start = view.start + count * span;
    return start >= 0 && start < night.epochs * 30 ? { start, stop: start + span } : null;
  }

  scale(trace) {
    return this.scales.get(trace.key) ?? trace.scale;
  }

  /** 1 draws positive values upwards, -1 downwards. */
  sign(trace) {
    const kindSign = EEG_LIKE.has(trace.kind) && this.negativeUp ? -1 : 1;
    return this.inverted.has(trace.key) ? -kindSign : kindSign;
  }

  /** The filter of a trace as the window route reads it: high-pass, low-pass, notch. */
  filter(trace) {
    if (!this.filtersOn) return { high: null, low: null, notch: null };
    const { high_pass_hz: high, low_pass_hz: low } = trace.filter;
    return { high, low, notch: this.notch && high !== null ? this.notch : null };
  }

  filterText(trace) {
    const { high, low, notch } = this.filter(trace);
    if (high === null && low === null) return "unfiltered";
    return `${high ?? 0}–${low ?? "∞"} Hz${notch ? `, notch ${notch}` : ""}`;
  }

  change(name, value, panel) {
    const said = this[`change_${name}`](value, panel);
    this.remember();
    return said;
  }

  change_span(step) {
    return this.change_spanIndex(this.spanIndex + step);
  }

  change_spanIndex(index) {
    this.spanIndex = Math.min(Math.max(index, 0), SPANS.length - 1);
    this.part = 0;
    return `Time on the screen: ${this.spanName()}`;
  }

  change_montage(name) {
    this.montage = name;
    this.scroll = 0;
    this.selected = null;
    return null;
  }

  change_scroll(step, panel) {
    this.scroll = Math.min(Math.max(this.scroll + step, 0), panel.maxScroll());
    return null;
  }

  /** Only what is selected changed. */
  change_none() {
    return null;
  }

  chosen() {
    return this.selected === null ? this.montageTraces() : [this.traces.get(this.selected)];
  }

  change_gain(step) {
    const chosen = this.chosen();
    for (const trace of chosen) {
      const { per_lane: perLane, centre } = this.scale(trace);
      this.scales.set(trace.key, { per_lane: nextStep(perLane, -step), centre });
    }
    if (chosen.length > 1) return step > 0 ? "More gain, all channels" : "Less gain, all channels";
    return `${chosen[0].label}: ${this.scaleText(chosen[0])}`;
  }

  change_fit(_, panel) {
    const chosen = this.chosen();
    for (const trace of chosen) {
      const range = panel.visibleRange(trace.key);
      if (!range) continue;
      const [low, high] = range;
      const centred = trace.scale.fixed ? 0 : (low + high) / 2;
      const reach = Math.max(high - centred, centred - low) * 2;
      this.scales.set(trace.key, { per_lane: roundUp((reach || Math.abs(centred) || 1) * 1.1), centre: centred });
    }
    return this.selected === null ? "Gain fitted to the screen" : `${chosen[0].label}: ${this.scaleText(chosen[0])}`;
  }

  change_standard() {
    for (const trace of this.chosen()) this.scales.delete(trace.key);
    return "Standard gain";
  }

  change_filter() {
    this.filtersOn = !this.filtersOn;
    return this.filtersOn ? "Filters on (display only)" : "Filters off: the signals as recorded";
  }

  change_notch(hertz) {
    this.notch = hertz;
    return hertz ? `Notch ${hertz} Hz (display only)` : "Notch off";
  }

  change_polarity() {
    if (this.selected !== null) {
      if (!this.inverted.delete(this.selected)) this.inverted.add(this.selected);
      const trace = this.traces.get(this.selected);
      return `${trace.label}: ${this.sign(trace) < 0 ? "negative up" : "positive up"}`;
    }
    this.negativeUp = !this.negativeUp;
    return this.negativeUp ? "EEG and EOG: negative up" : "EEG and EOG: positive up";
  }

  change_grid() {
    this.grid = !this.grid;
    return null;
  }

  scaleText(trace) {
    return `${trimmed(this.scale(trace).per_lane)} ${trace.unit || "units"} per row`;
  }
}

export function trimmed(number) {
  return String(Number(number.toPrecision(3)));
}

function nextStep(value, direction) {
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  const steps = [];
  for (const power of [exponent - 1, exponent, exponent + 1]) for (const step of GAIN_STEPS) steps.push(step * 10 ** power);
  const near = value * 1e-6;
  const found = direction > 0 ? steps.find((step) => step > value + near) : steps.findLast((step) => step < value - near);
  return Number(found.toPrecision(6));
}

function roundUp(value) {
  const exponent = Math.floor(Math.log10(value));
  const mantissa = GAIN_STEPS.find((step) => step >= value / 10 ** exponent - 1e-9) ?? 10;
  return Number((mantissa * 10 ** exponent).toPrecision(6));
}
