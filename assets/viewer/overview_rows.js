// The rows of the night's overview, each drawn once for a study and a size.

import { clockText } from "./clock.js";
import { colourOf, GROUPS, OUTSIDE } from "./event_kinds.js";
import { FONT } from "./layout.js";

const UNSCORED = "#eef0f3";

const SMALL = 0.6; // a proposal below the review that it became, to the review's height

/** Where each hypnogram lies in their row: { top, height }, from top to bottom. */
export function hypnogramParts({ scorings, compared }, height) {
  const shares = scorings.map((_, index) => (index && !compared ? SMALL : 1));
  const unit = height / shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share, index) => ({ top: unit * shares.slice(0, index).reduce((sum, one) => sum + one, 0), height: unit * share }));
}

/** Where each stage lies in a hypnogram of a height: Wake on top, then REM, N1, N2, N3 (AASM). */
export function stageLevels(theme, height) {
  const margin = height < 40 ? 3 : height < 60 ? 5 : 8;
  const gap = (height - 2 * margin) / (theme.stages.length - 1);
  return theme.stages.map((stage, level) => ({ ...stage, y: margin + level * gap }));
}

export function drawHypnogram(context, scene, height) {
  const { night, theme, width, unscored } = scene;
  if (!night.scorings.length) {
    context.fillStyle = UNSCORED;
    context.fillRect(0, 0, width, height);
    context.font = `12px ${FONT}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    context.fillStyle = theme.quietInk;
    context.fillText(unscored || "No scoring is shown", width / 2, height / 2);
    return;
  }
  hypnogramParts(night, height).forEach((part, index) => {
    context.save();
    context.translate(0, part.top);
    drawOne(context, scene, night.scorings[index].stages, part.height);
    context.restore();
  });
  drawLights(context, scene, height);
}

function drawOne(context, { night, theme, width, perEpoch }, stages, height) {
  const levels = new Map(stageLevels(theme, height).map((level) => [level.number, level]));
  context.fillStyle = "#fbfcfd";
  context.fillRect(0, 0, width, height - 1);
  context.fillStyle = theme.grid;
  for (const { y } of levels.values()) context.fillRect(0, Math.round(y), width, 1);
  let before = null;
  for (let start = 0; start < night.epochs; ) {
    const number = stages[start] ?? -1;
    let stop = start + 1;
    while (stop < night.epochs && (stages[stop] ?? -1) === number) stop += 1;
    const left = start * perEpoch;
    const right = stop * perEpoch;
    const level = levels.get(number);
    if (level) {
      if (before) {
        context.fillStyle = theme.quietInk;
        context.fillRect(Math.round(left), Math.min(before.y, level.y), 1, Math.abs(before.y - level.y));
      }
      const thickness = level.short === "R" ? 5 : 3;
      context.fillStyle = level.colour;
      context.fillRect(left, level.y - thickness / 2, Math.max(1, right - left), thickness);
    } else {
      context.fillStyle = UNSCORED;
      context.fillRect(left, 0, right - left, height - 1);
    }
    before = level ?? null;
    start = stop;
  }
}

function drawLights(context, { lights, theme, width, perSecond }, height) {
  if (!lights) return;
  context.font = `9px ${FONT}`;
  context.textBaseline = "top";
  for (const [seconds, name] of [[lights.off, "Lights off"], [lights.on, "Lights on"]]) {
    if (seconds === null) continue;
    const x = Math.round(seconds * perSecond);
    const isOff = name === "Lights off";
    context.fillStyle = OUTSIDE;
    context.fillRect(isOff ? 0 : x, 0, isOff ? x : width - x, height);
    context.fillStyle = theme.cursor;
    for (let y = 0; y < height; y += 4) context.fillRect(x, y, 1, 2);
    const isRoomBefore = x > context.measureText(name).width + 6;
    const isRoomAfter = width - x > context.measureText(name).width + 6;
    const before = isOff ? isRoomBefore : !isRoomAfter;
    context.textAlign = before ? "right" : "left";
    context.fillText(name, x + (before ? -3 : 3), height - 12);
  }
}

/** A line of ticks for each group of events; `marks` is Map group → one byte a column (`EventIndex.columns`). */
export function drawEventTicks(context, { theme, width }, height, marks) {
  const pitch = height / GROUPS.length;
  GROUPS.forEach(({ group, example }, line) => {
    const mark = marks.get(group);
    context.fillStyle = theme.grid;
    context.fillRect(0, Math.round((line + 1) * pitch) - 1, width, 0.5);
    context.fillStyle = colourOf(theme, example);
    const perColumn = width / mark.length;
    for (let start = mark.indexOf(1); start >= 0; ) {
      const end = mark.indexOf(0, start);
      const stop = end < 0 ? mark.length : end;
      context.fillRect(start * perColumn, line * pitch, Math.max(1, (stop - start) * perColumn), pitch - 1);
      start = mark.indexOf(1, stop);
    }
  });
}

/** What the events about a time are, in a few lines. */
export function describeEvents(index, night, seconds, reach) {
  const found = index.within(seconds - reach, seconds + reach);
  const said = found.slice(0, 8).map(({ name, start, stop, channel }) => [clockText(night.start, Math.floor(start)), name, `${(stop - start).toFixed(1)} s`, channel].filter(Boolean).join(" · "));
  if (found.length > said.length) said.push(`and ${found.length - said.length} more events`);
  return said;
}

/** Ticks where somebody should look: the engines disagree, or the one there is was least certain. */
export function drawMarks(context, { night, theme, perEpoch }, height) {
  context.fillStyle = theme.disagreement;
  for (const { epoch } of night.to_review) context.fillRect((epoch - 1) * perEpoch, 0, Math.max(1, perEpoch), height);
}

export function drawDensity(context, { night, theme, perEpoch }, height) {
  const { probabilities } = night.scorings.find((scoring) => scoring.probabilities);
  const stages = [...theme.stages].reverse(); // N3 at the bottom, Wake on top, as in the hypnogram
  context.fillStyle = UNSCORED;
  context.fillRect(0, 0, night.epochs * perEpoch, height);
  for (let epoch = 0; epoch < probabilities.length / 5; epoch += 1) {
    let below = 0;
    const left = Math.floor(epoch * perEpoch);
    const right = Math.ceil((epoch + 1) * perEpoch);
    for (const { number, colour } of stages) {
      const share = (probabilities[epoch * 5 + number] / 65535) * height;
      if (share === 0) continue;
      context.fillStyle = colour;
      context.fillRect(left, height - below - share, right - left, share + 0.5);
      below += share;
    }
  }
}

export function drawSpectrogram(context, { width, theme }, height, image) {
  if (!image) {
    context.fillStyle = UNSCORED;
    context.fillRect(0, 0, width, height);
    return;
  }
  if (image.error) {
    context.font = `11px ${FONT}`;
    context.textBaseline = "middle";
    context.fillStyle = theme.quietInk;
    context.fillText(image.error, 8, height / 2);
    return;
  }
  context.imageSmoothingEnabled = true;
  context.drawImage(image.canvas, 0, 0, (width * image.canvas.width) / image.epochs, height);
}

export function drawQuality(context, { theme, perEpoch }, height, strips) {
  const pitch = height / strips.length;
  strips.forEach(({ levels }, row) => {
    for (let start = 0; start < levels.length; ) {
      let stop = start + 1;
      while (stop < levels.length && levels[stop] === levels[start]) stop += 1;
      context.fillStyle = theme.quality[levels[start]];
      const left = Math.floor(start * perEpoch);
      context.fillRect(left, row * pitch, Math.ceil(stop * perEpoch) - left, pitch - 1);
      start = stop;
    }
  });
}

export function drawAxis(context, { theme, width, perSecond }, ticks) {
  context.font = `10px ${FONT}`;
  context.textBaseline = "alphabetic";
  for (const { at, text } of ticks) {
    const x = at * perSecond;
    context.fillStyle = theme.quietInk;
    context.fillRect(Math.round(x), 0, 1, 4);
    const half = context.measureText(text).width / 2;
    context.textAlign = x < half ? "left" : x > width - half ? "right" : "center";
    context.fillStyle = theme.ink;
    context.fillText(text, x, 14);
  }
}
