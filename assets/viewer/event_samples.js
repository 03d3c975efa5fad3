// What the samples on the screen say about a desaturation. Nothing is said where they do not tell.

import { GAP } from "./trace_store.js";

const SPO2_RANGE = [50, 100]; // beyond, an oximeter has lost its signal
const COARSEST_S = 1; // a point on the screen must be a second or less: else the event's ends are not where they are drawn

/**
 * Depth and nadir of a desaturation: { Desaturation, NadirSpO2 } in % of saturation, {} where the samples do not tell.
 *
 * The depth is the highest value within the event before its lowest, less the lowest. `row` is the drawn row of the saturation,
 * `isFiltered` whether it is shown as it was recorded.
 */
export function desaturationOf({ trace, window }, { start, stop }, isFiltered) {
  const { codes, x0, dx, n, scale, offset } = window;
  if (trace.kind !== "SpO2" || trace.unit !== "%" || isFiltered || dx > COARSEST_S) return {};
  const first = Math.ceil((start - x0) / dx - 1e-6);
  const last = Math.floor((stop - x0) / dx + 1e-6);
  if (first < 0 || last >= n || last <= first) return {}; // not all of it is on the screen
  let highest = -Infinity;
  let nadir = Infinity;
  let depth = 0;
  for (let at = first; at <= last; at += 1) {
    if (codes[at] === GAP) return {};
    const value = offset + scale * codes[at];
    if (value < SPO2_RANGE[0] || value > SPO2_RANGE[1] + 0.5) return {};
    if (value < nadir) {
      nadir = value;
      depth = Math.max(highest, value) - value;
    }
    highest = Math.max(highest, value);
  }
  return { Desaturation: tenth(depth), NadirSpO2: tenth(nadir) };
}

function tenth(value) {
  return Math.round(value * 10) / 10;
}
