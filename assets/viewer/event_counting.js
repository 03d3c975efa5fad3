// Which events count in the indices: those of which any part lies in an epoch scored as sleep, between lights off and lights on.
//
// The same rule as in sleepfm/analysis/event_indices.py, which does the counting; here it only says so beside each event.

import { kindOf } from "./event_kinds.js";

const EPOCH_S = 30;
const AROUSAL_REACH_S = 10; // the sleep that must come before an arousal (AASM) may lie in the epoch before
const LEAST_DEPTH = 3; // % of saturation, for ODI3
const ROUNDING = 1e-6;

/** { isCounted, word, why } for an event; `stageAt(seconds)` gives the stage of an epoch, `lights` is { off, on }. */
export function counting(event, stageAt, lights) {
  const no = (word, why) => ({ isCounted: false, word, why });
  if (!kindOf(event.name).group) return no("–", "Events of this kind are in no index.");
  const isContrary = lights.off !== null && lights.on !== null && lights.on <= lights.off;
  const [off, on] = isContrary ? [0, Infinity] : [lights.off ?? 0, lights.on ?? Infinity];
  const reach = event.name === "Arousal" ? AROUSAL_REACH_S : 0;
  const start = Math.max(event.start - reach, off);
  const stop = Math.min(Math.max(event.stop, event.start + ROUNDING), on);
  if (event.start >= on || stop <= off) return no("lights on", "Marked, not counted: it lies before lights off or after lights on.");
  let isScored = false;
  for (let epoch = Math.floor(start / EPOCH_S); epoch * EPOCH_S < stop; epoch += 1) {
    const stage = stageAt(epoch * EPOCH_S);
    if (stage > 0) return counted(event, no);
    if (stage === 0) isScored = true;
  }
  if (isScored) return no("in wake", "Marked, not counted: no part of it lies in sleep.");
  return no("not scored", "Marked, not counted: its epoch is not scored.");
}

function counted({ name, extra = {} }, no) {
  if (name !== "Desaturation") return { isCounted: true, word: "yes", why: "Counted: it lies in sleep." };
  const depth = extra.Desaturation;
  if (typeof depth !== "number") return no("% unknown", "Marked, not counted: how deep it is in % is not known. Draw or drag it with all of it on the screen to measure it.");
  if (depth < LEAST_DEPTH - ROUNDING) return no("below 3 %", "Marked, not counted: less than 3 % deep.");
  return { isCounted: true, word: "yes", why: `Counted in ODI3${depth >= 4 - ROUNDING ? " and ODI4" : ""}: it lies in sleep.` };
}
