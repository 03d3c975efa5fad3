// One clip on a canvas: its stages above, its traces below, seconds from its start under them.

import { tickStep } from "../viewer/clock.js";
import { FONT, fitted } from "../viewer/layout.js";
import { drawLabels, drawReferenceLines, drawTrace } from "../viewer/trace_rows.js";

export const NAMES = 116; // names and scales, left of the traces
export const RIGHT = 10;
const STAGES = 15;
const ROW = 34;
const AXIS = 20;
const OVERLAP = 0.35; // how much of the neighbouring row a large swing may cross
const SHARES = { EEG: 1.2, EOG: 1.1, ECG: 1.2 };
const DARK_STAGES = new Set(["N2", "N3", "R"]);

export function heightFor(traces) {
  const rows = traces.reduce((sum, trace) => sum + (SHARES[trace.kind] ?? 1) * ROW, 0);
  return STAGES + Math.max(ROW, rows) + AXIS;
}

/** Whether a height lies in the strip of stages. */
export function isInStages(y) {
  return y < STAGES;
}

/** Draw a clip; `view` is the part of it that is shown, both in seconds from the recording's start. */
export function drawClip(context, { clip, windows, view, width, height, theme, settings, gain }) {
  const plot = {
    left: NAMES, top: STAGES, width: width - NAMES - RIGHT, height: height - STAGES - AXIS, start: view.start,
    perSecond: (width - NAMES - RIGHT) / (view.stop - view.start),
  };
  context.clearRect(0, 0, width, height);
  drawStages(context, clip, view, plot, theme);
  drawTime(context, clip, view, plot, theme);
  let top = plot.top;
  clip.traces.forEach((trace, index) => {
    const pitch = (SHARES[trace.kind] ?? 1) * ROW;
    const row = place(trace, windows[index], top + pitch / 2, pitch, { theme, settings, gain });
    if (trace.bad) drawBad(context, row, plot, theme);
    drawReferenceLines(context, row, plot, theme);
    context.save();
    context.beginPath();
    const above = Math.max(plot.top, top - pitch * OVERLAP);
    context.rect(plot.left, above, plot.width, Math.min(plot.top + plot.height, top + pitch * (1 + OVERLAP)) - above);
    context.clip();
    drawTrace(context, row, plot);
    context.restore();
    drawLabels(context, row, plot, theme, false);
    top += pitch;
  });
  drawGaps(context, clip, view, plot, theme);
}

function place(trace, window, middle, pitch, { theme, settings, gain }) {
  const perLane = trace.scale.per_lane / (trace.scale.centre === 0 ? gain : 1);
  const perUnit = (settings.sign(trace) * pitch) / perLane;
  const colour = theme.traces[trace.kind] ?? theme.otherTrace;
  return { trace, window, middle, pitch, perLane, centre: trace.scale.centre, perUnit, colour, filterText: settings.filterText(trace) };
}

/** The stages of the whole clip, whatever part of it is shown below; the part is underlined. */
function drawStages(context, clip, view, plot, theme) {
  const at = (seconds) => plot.left + ((seconds - clip.start_s) / (clip.stop_s - clip.start_s)) * plot.width;
  const height = STAGES - 4;
  const stages = new Map(theme.stages.map((stage) => [stage.number, stage]));
  context.textBaseline = "middle";
  context.font = `10px ${FONT}`;
  context.textAlign = "left";
  context.fillStyle = theme.quietInk;
  context.fillText(clip.stages.length ? "Stages" : "not scored", 6, height / 2 + 1);
  if (!clip.stages.length) {
    context.fillStyle = theme.gap;
    context.fillRect(plot.left, 0, plot.width, height);
  }
  for (const { start, stage: number } of clip.stages) {
    const left = Math.max(plot.left, at(start));
    const right = Math.min(plot.left + plot.width, at(start + 30));
    const stage = stages.get(number);
    context.fillStyle = stage ? stage.colour : theme.unknown;
    context.fillRect(left, 0, right - left - 1, height);
    if (right - left < 18) continue;
    context.font = `600 10px ${FONT}`;
    context.textAlign = "center";
    context.fillStyle = DARK_STAGES.has(stage?.short) ? "#fff" : theme.ink;
    context.fillText(stage ? stage.short : "?", (left + right) / 2, height / 2 + 1);
  }
  if (view.stop - view.start < clip.stop_s - clip.start_s) {
    context.fillStyle = theme.cursor;
    context.fillRect(at(view.start), height + 1, at(view.stop) - at(view.start), 2);
  }
}

/** Seconds from the clip's start, with lines up through the traces. */
function drawTime(context, clip, view, plot, theme) {
  const bottom = plot.top + plot.height;
  const span = view.stop - view.start;
  const step = tickStep(span, plot.width, 56);
  context.textBaseline = "alphabetic";
  context.font = `10px ${FONT}`;
  for (let t = 0; t <= clip.stop_s - clip.start_s + 1e-6; t += step) {
    const x = plot.left + (clip.start_s + t - view.start) * plot.perSecond;
    if (x < plot.left - 1 || x > plot.left + plot.width + 1) continue;
    context.fillStyle = theme.grid;
    context.fillRect(Math.round(x), plot.top, 1, plot.height);
    context.fillStyle = theme.quietInk;
    context.fillRect(Math.round(x), bottom, 1, 4);
    context.textAlign = x < plot.left + 12 ? "left" : x > plot.left + plot.width - 16 ? "right" : "center";
    context.fillText(`${t} s`, x, bottom + 15);
  }
  context.fillStyle = theme.gridStrong;
  context.fillRect(plot.left, bottom, plot.width, 1);
}

function drawBad(context, { trace, middle, pitch }, plot, theme) {
  context.fillStyle = theme.quality.bad;
  context.globalAlpha = 0.1;
  context.fillRect(plot.left, middle - pitch / 2, plot.width, pitch);
  context.globalAlpha = 1;
  context.font = `10px ${FONT}`;
  context.textAlign = "right";
  context.textBaseline = "top";
  context.fillText(fitted(context, trace.bad, plot.width / 2), plot.left + plot.width - 4, middle - pitch / 2 + 2);
}

/** Stretches without signal: gaps, and what lies beyond the recording. */
function drawGaps(context, clip, view, plot, theme) {
  const bottom = plot.top + plot.height;
  for (const [from, to, name] of [...clip.gaps.map((gap) => [...gap, "gap"]), [clip.duration_s, Infinity, "end of the recording"]]) {
    const left = Math.max(view.start, from);
    const right = Math.min(view.stop, to);
    if (right <= left) continue;
    const x = plot.left + (left - view.start) * plot.perSecond;
    const width = (right - left) * plot.perSecond;
    context.fillStyle = theme.gap;
    context.fillRect(x, plot.top, width, bottom - plot.top);
    context.font = `11px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = theme.quietInk;
    if (width > context.measureText(name).width + 8) context.fillText(name, x + width / 2, (plot.top + bottom) / 2);
  }
}
