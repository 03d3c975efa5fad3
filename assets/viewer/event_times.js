// Times of events that are made and changed by hand: tenths of a second, within the recording, never turned about.

export const STEP_S = 0.1;

/** An event from one time to another, in either order. */
export function spanning(one, other, duration) {
  const end = tenth(duration, Math.floor);
  const start = Math.min(Math.max(tenth(Math.min(one, other)), 0), tenth(end - STEP_S));
  return { start, stop: Math.min(Math.max(tenth(Math.max(one, other)), tenth(start + STEP_S)), end) };
}

/** The event with its "start" or "stop" at another time; dragged over the other end, it becomes the other end. */
export function withEdge({ start, stop }, edge, time, duration) {
  const fixed = edge === "start" ? stop : start;
  const moved = spanning(fixed, time, duration);
  // the end that was not touched stays what it is, to the last digit
  if (time < fixed) return { start: Math.min(moved.start, Math.max(0, fixed - STEP_S)), stop: fixed };
  return { start: fixed, stop: Math.max(moved.stop, Math.min(duration, fixed + STEP_S)) };
}

/** The event as long as it was, `seconds` later. */
export function moved({ start, stop }, seconds, duration) {
  const long = stop - start;
  const first = Math.min(Math.max(tenth(start + seconds), 0), Math.max(0, duration - long));
  return { start: first, stop: Math.min(round(first + long), duration) };
}

/** A point in time. */
export function point(time, duration) {
  const at = Math.min(Math.max(tenth(time), 0), duration);
  return { start: at, stop: at };
}

function tenth(seconds, rounding = Math.round) {
  return rounding(seconds * 10 + (rounding === Math.floor ? 1e-6 : 0)) / 10;
}

function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
