// One row of the trace panel: its line, its reference lines, its name and its scale.

import { FONT, fitted } from "./layout.js";
import { trimmed } from "./settings.js";
import { GAP } from "./trace_store.js";

const N3_LINES_UV = 37.5; // 75 µV peak to peak, the amplitude criterion of slow waves (AASM manual, stage N3)

const SHORTEST_NAME = 46;
const NO_UNIT = "a.u."; // arbitrary units: the file names none
const UNITLESS = new Set(["position", "marker"]); // codes, not amounts

export function drawTrace(context, { window, middle, perUnit, centre, colour }, plot) {
  const { codes, x0, dx, n, scale, offset } = window;
  const step = dx * plot.perSecond;
  const left = plot.left + (x0 - plot.start) * plot.perSecond;
  const slope = -scale * perUnit;
  const base = middle - (offset - centre) * perUnit;
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.lineJoin = "bevel";
  context.beginPath();
  let isPenDown = false;
  for (let k = 0; k < n; k += 1) {
    const code = codes[k];
    if (code === GAP) {
      isPenDown = false;
    } else if (isPenDown) {
      context.lineTo(left + k * step, base + slope * code);
    } else {
      context.moveTo(left + k * step, base + slope * code);
      isPenDown = true;
    }
  }
  context.stroke();
}

/** The zero line, and for EEG in µV the ±37.5 µV lines. */
export function drawReferenceLines(context, { trace, middle, perUnit, centre, pitch }, plot, theme) {
  context.fillStyle = theme.grid;
  context.fillRect(plot.left, Math.round(middle), plot.width, 1);
  if (trace.kind !== "EEG" || trace.unit !== "µV" || centre !== 0) return;
  const reach = N3_LINES_UV * Math.abs(perUnit);
  if (reach < 4 || reach > pitch) return;
  context.strokeStyle = theme.amplitudeLine;
  context.lineWidth = 1;
  context.setLineDash([4, 4]);
  context.beginPath();
  for (const y of [middle - reach, middle + reach]) {
    context.moveTo(plot.left, Math.round(y) + 0.5);
    context.lineTo(plot.left + plot.width, Math.round(y) + 0.5);
  }
  context.stroke();
  context.setLineDash([]);
}

/** Name and scale in the gutter. */
export function drawLabels(context, row, plot, theme, isSelected) {
  const { trace, middle, pitch, colour, centre } = row;
  if (isSelected) {
    context.fillStyle = "#e4ecf7";
    context.fillRect(0, middle - pitch / 2, plot.left, pitch);
  }
  context.textBaseline = "middle";
  const isTall = pitch >= 30;
  const nameY = isTall ? middle - 6 : middle;
  const nameFont = `600 12px ${FONT}`;
  context.font = nameFont;
  // a long name gives way to the scale: a row without its unit says nothing
  const room = plot.left - 14 - Math.min(context.measureText(trace.label).width, SHORTEST_NAME);
  const scaleWidth = centre === 0 ? drawBar(context, row, plot, theme, isTall) : drawBounds(context, row, plot, theme, room);
  context.textAlign = "left";
  context.font = nameFont;
  context.fillStyle = colour;
  const nameRoom = plot.left - 12 - (isTall && centre === 0 ? 10 : scaleWidth);
  if (context.measureText(trace.label).width > nameRoom) context.font = `600 11px ${FONT}`;
  context.fillText(fitted(context, trace.label, nameRoom), 6, nameY);
  if (pitch >= 44) {
    context.font = `10px ${FONT}`;
    context.fillStyle = theme.quietInk;
    context.fillText(fitted(context, row.filterText, plot.left - 14 - scaleWidth), 6, middle + 9);
  }
}

/** A vertical bar of a round amplitude with its value; returns the width it took. */
function drawBar(context, { trace, middle, pitch, perLane }, plot, theme, isTall) {
  const value = trace.kind === "EEG" && trace.unit === "µV" && perLane >= 90 && perLane <= 400 ? 75 : roundDown(perLane * 0.7);
  const length = (value / perLane) * pitch;
  const x = plot.left - 5;
  context.fillStyle = theme.quietInk;
  context.fillRect(x, middle - length / 2, 1, length);
  context.fillRect(x - 2, Math.round(middle - length / 2), 5, 1);
  context.fillRect(x - 2, Math.round(middle + length / 2) - 1, 5, 1);
  const text = `${trimmed(value)} ${trace.unit || NO_UNIT}`;
  context.font = `10px ${FONT}`;
  context.textAlign = "right";
  context.fillText(text, x - 5, isTall ? middle + 9 : middle);
  return context.measureText(text).width + 16;
}

/** For values that do not swing about zero (SpO2, pulse): what the row's top and bottom stand for, if there is room. */
function drawBounds(context, { trace, middle, pitch, perLane, centre, perUnit }, plot, theme, room) {
  const up = perUnit > 0 ? 1 : -1;
  const digits = UNITLESS.has(trace.kind) ? 0 : Math.max(0, Math.ceil(-Math.log10(perLane)) + 1);
  const text = (value) => (digits > 5 ? value.toExponential(1) : value.toFixed(digits)).replace("-", "−");
  const unit = trace.unit || (UNITLESS.has(trace.kind) ? "" : NO_UNIT);
  const [top, bottom] = [centre + (up * perLane) / 2, centre - (up * perLane) / 2].map(text);
  context.font = `10px ${FONT}`;
  context.textAlign = "right";
  context.fillStyle = theme.quietInk;
  const x = plot.left - 6;
  const isTall = pitch >= 24;
  if (isTall) {
    context.fillText(`${top} ${unit}`, x, middle - pitch / 2 + 7);
    context.fillText(bottom, x, middle + pitch / 2 - 7);
    return context.measureText(`${top} ${unit}`).width + 10;
  }
  const both = `${bottom}${centre > perLane / 2 ? "–" : " to "}${top} ${unit}`;
  const width = context.measureText(both).width + 10;
  if (width > room) return 0;
  context.fillText(both, x, middle);
  return width;
}

function roundDown(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].find((step) => step * power <= value * (1 + 1e-9)) * power;
}
