// How events look on the traces: a ribbon and a tint over their stretch of their channel, and their name where it fits.

import { clockText } from "./clock.js";
import { colourOf, isAtHome, kindOf, LIGHTS_OFF, OUTSIDE } from "./event_kinds.js";
import { FONT, fitted } from "./layout.js";

export const STRIP = 13; // above the traces, for events whose channel is not on the screen
const RIBBON = 6;
const NAME_HEIGHT = 13;
const TALL = 28;
const LIGHTS_HEIGHT = 16;
const HANDLE = 5;
const HATCHED_FROM = 5; // narrower ones are plain
const PATTERN = 6;
const patterns = new Map(); // hatch and colour → pattern

/** Give for an event the row that it is drawn on, or null: that of its channel; without a channel the first of a fitting kind. */
export function rowFinder(rows) {
  const byChannel = new Map();
  const name = (channel, row) => { if (!byChannel.has(channel)) byChannel.set(channel, row); };
  for (const row of rows) name(row.trace.label, row);
  for (const row of rows) name(row.trace.channels[0], row);
  for (const row of rows) for (const channel of row.trace.channels.slice(1)) name(channel, row);
  const byName = new Map();
  return (event) => {
    if (event.channel) return byChannel.get(event.channel) ?? null;
    if (!byName.has(event.name)) byName.set(event.name, rows.find(({ trace }) => isAtHome(event.name, trace.kind)) ?? null);
    return byName.get(event.name);
  };
}

/** Return { event, row, left, right, top, height } of events (sorted by start) on the screen; those that overlap share the height. */
export function placeEvents(events, rowOf, plot, view) {
  const clusters = new Map(); // row → { end, lanes: ends, boxes } of what overlaps last there
  const boxes = [];
  const drawnTo = new Map(); // row → name → the last column taken: what fits no column of its own is not drawn
  for (const event of events) {
    const row = rowOf(event);
    const left = plot.left + (Math.max(event.start, view.start) - view.start) * plot.perSecond;
    const right = Math.max(left + 1, plot.left + (Math.min(event.stop, view.stop) - view.start) * plot.perSecond);
    if (!drawnTo.has(row)) drawnTo.set(row, new Map());
    if (right <= (drawnTo.get(row).get(event.name) ?? -1)) {
      if (right - left < 2) continue;
    } else drawnTo.get(row).set(event.name, Math.ceil(right));
    const height = row ? row.pitch : STRIP;
    const box = { event, row, left, right, top: row ? row.middle - row.pitch / 2 : plot.top - STRIP, height };
    let cluster = clusters.get(row);
    if (!cluster || event.start >= cluster.end) {
      cluster = { end: -Infinity, lanes: [], boxes: [] };
      clusters.set(row, cluster);
    }
    const free = cluster.lanes.findIndex((end) => end <= event.start);
    box.lane = free < 0 ? cluster.lanes.length : free;
    cluster.lanes[box.lane] = event.stop;
    cluster.end = Math.max(cluster.end, event.stop);
    cluster.boxes.push(box);
    box.cluster = cluster;
    boxes.push(box);
  }
  for (const box of boxes) {
    const lanes = box.cluster.lanes.length;
    box.top += (box.lane * box.height) / lanes;
    box.height /= lanes;
  }
  return boxes;
}

/** Below the traces: the tint. `judge(event)` tells whether an event counts; `selected` is an event's id. */
export function drawTints(context, boxes, { theme, selected, judge }) {
  for (const { event, left, right, top, height, row } of boxes) {
    context.fillStyle = colourOf(theme, event.name);
    context.globalAlpha = event.id === selected ? 0.3 : row && judge(event).isCounted ? 0.17 : 0.09;
    context.fillRect(left, top, right - left, height - 1);
  }
  context.globalAlpha = 1;
}

/** Over the traces: ribbons, names, and the frame of the selected one. */
export function drawMarks(context, boxes, scene) {
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (const box of boxes) {
    drawRibbon(context, box, scene);
    if (box.event.id === scene.selected) drawFrame(context, box, scene);
  }
  for (const box of boxes) drawName(context, box, scene);
}

function drawRibbon(context, { event, left, right, top, height }, { theme, view }) {
  const colour = colourOf(theme, event.name);
  const ribbon = Math.min(RIBBON, Math.max(2, height / 3));
  const width = right - left;
  const { hatch } = kindOf(event.name);
  context.fillStyle = colour;
  if (width < HATCHED_FROM || ribbon < RIBBON || hatch === "full") {
    context.fillRect(left, top, width, ribbon);
  } else {
    context.fillStyle = "#fff";
    context.fillRect(left, top, width, ribbon);
    context.translate(left, top); // the hatch begins where the event does
    context.fillStyle = hatched(context, hatch, colour);
    context.fillRect(0, 0, width, ribbon);
    context.translate(-left, -top);
    context.fillStyle = colour;
    context.fillRect(left, top, width, 1);
    context.fillRect(left, top + ribbon - 1, width, 1);
  }
  if (width < HATCHED_FROM) return;
  // where it begins and ends; an event that goes on beyond the screen has no edge there
  if (event.start >= view.start) context.fillRect(left, top, 1, height - 1);
  if (event.stop <= view.stop) context.fillRect(right - 1, top, 1, height - 1);
}

function drawFrame(context, { event, left, right, top, height }, { theme, view, editable }) {
  context.strokeStyle = colourOf(theme, event.name);
  context.lineWidth = 2;
  context.strokeRect(left, top + 1, right - left, height - 3);
  if (!editable) return;
  context.fillStyle = "#fff";
  for (const [x, isEdge] of [[left, event.start >= view.start], [right, event.stop <= view.stop]]) {
    if (!isEdge) continue;
    context.lineWidth = 1.5;
    context.fillRect(x - HANDLE / 2, top + height / 2 - HANDLE, HANDLE, 2 * HANDLE);
    context.strokeRect(x - HANDLE / 2, top + height / 2 - HANDLE, HANDLE, 2 * HANDLE);
  }
}

function drawName(context, { event, row, left, right, top, height }, { theme, judge }) {
  const ribbon = Math.min(RIBBON, Math.max(2, height / 3));
  const room = right - left - 5;
  if (height < NAME_HEIGHT || room < 8) return;
  context.font = `600 11px ${FONT}`;
  const { code } = kindOf(event.name);
  const { isCounted, word } = judge(event);
  const notCounted = isCounted || word === "–" ? "" : ` · ${word}`;
  const where = row || !event.channel ? "" : ` · ${event.channel}`;
  const depth = typeof event.extra?.Desaturation === "number" ? ` ${Number(event.extra.Desaturation.toFixed(1))} %` : "";
  const whole = `${event.name}${depth}`;
  const texts = [`${whole} · ${(event.stop - event.start).toFixed(1)} s${where}${notCounted}`, `${whole}${where}${notCounted}`, whole, `${code}${depth}`, code];
  const most = row && height < TALL ? Math.max(room * 0.45, context.measureText(`${code}${depth}`).width) : room; // a low row is not covered by a name
  let text = texts.find((one) => context.measureText(one).width <= Math.min(most, room)) ?? (context.measureText(code).width <= room ? code : "");
  if (!text) return;
  if (text === code && code === "•") text = fitted(context, event.name, room); // a kind of its own: as much of it as fits
  const width = context.measureText(text).width;
  const y = Math.min(top + ribbon + 1, top + height - NAME_HEIGHT);
  context.fillStyle = "rgb(255 255 255 / 82%)";
  context.fillRect(left + 1, y, width + 4, NAME_HEIGHT - 1);
  context.fillStyle = theme.ink;
  context.fillText(text, left + 3, y + NAME_HEIGHT / 2);
}

/**
 * Before lights off and after lights on nothing counts: grey, with a line over everything where they go. `marks` are the events of the
 * lights; returns where their names are: { event, left, right, top, height }.
 */
export function drawLights(context, marks, { theme, night, plot, view }) {
  const at = (seconds) => plot.left + Math.min(Math.max((seconds - view.start) * plot.perSecond, 0), plot.width);
  const end = plot.left + plot.width;
  const bottom = plot.top + plot.height;
  const boxes = [];
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 11px ${FONT}`;
  for (const event of marks) {
    const x = at(event.start);
    const isOff = event.name === LIGHTS_OFF;
    context.fillStyle = OUTSIDE;
    context.fillRect(isOff ? plot.left : x, plot.top, isOff ? x - plot.left : end - x, plot.height);
    if (event.start < view.start || event.start > view.stop) continue;
    context.fillStyle = theme.cursor;
    context.fillRect(Math.round(x) - 1, 0, 2, bottom);
    const text = `${event.name} ${clockText(night.start, event.start)}`;
    const width = context.measureText(text).width + 8;
    const isRight = isOff ? x - width < plot.left : x + width <= end;
    const left = isRight ? x : x - width;
    context.fillRect(left, bottom - LIGHTS_HEIGHT - 2, width, LIGHTS_HEIGHT);
    context.fillStyle = "#fff";
    context.fillText(text, left + 4, bottom - LIGHTS_HEIGHT / 2 - 1.5);
    boxes.push({ event, left, right: left + width, top: bottom - LIGHTS_HEIGHT - 2, height: LIGHTS_HEIGHT });
  }
  return boxes;
}

function hatched(context, hatch, colour) {
  const key = `${hatch} ${colour}`;
  if (!patterns.has(key)) {
    const tile = document.createElement("canvas");
    tile.width = PATTERN;
    tile.height = PATTERN;
    const drawing = tile.getContext("2d");
    drawing.strokeStyle = colour;
    drawing.fillStyle = colour;
    drawing.lineWidth = 2;
    drawHatch[hatch](drawing);
    patterns.set(key, context.createPattern(tile, "repeat"));
  }
  return patterns.get(key);
}

function stroke(drawing, ...lines) {
  drawing.beginPath();
  for (const [x0, y0, x1, y1] of lines) {
    drawing.moveTo(x0, y0);
    drawing.lineTo(x1, y1);
  }
  drawing.stroke();
}

const rising = [-1, PATTERN + 1, PATTERN + 1, -1];
const falling = [-1, -1, PATTERN + 1, PATTERN + 1];
const drawHatch = {
  rising: (drawing) => stroke(drawing, rising),
  falling: (drawing) => stroke(drawing, falling),
  crossed: (drawing) => stroke(drawing, rising, falling),
  level: (drawing) => { for (const at of [0, PATTERN - 2]) drawing.fillRect(0, at, PATTERN, 2); }, // two lines
  upright: (drawing) => stroke(drawing, [1, 0, 1, PATTERN]),
  dotted: (drawing) => { for (const at of [0, PATTERN / 2]) drawing.fillRect(at, at, PATTERN / 2, PATTERN / 2); },
};
