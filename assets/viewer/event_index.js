// A night's events in order of time: those within a stretch are found without looking at the others.

import { isLights } from "./event_kinds.js";

const POINT_S = 0.01; // an event without a duration is as long when it is looked for

export class EventIndex {
  /** `events`: {id, start, stop, name, channel, source, extra}, in any order, times in seconds from the recording's start. */
  constructor(events) {
    this.list = [...events].sort((a, b) => a.start - b.start || a.stop - b.stop);
    this.marked = this.list.filter(({ name }) => !isLights(name)); // lights are lines over everything, not marks on a channel
    this.reach = new Float64Array(this.marked.length); // how far the events up to each one reach: never falls
    this.lanes = new Map(); // event → its lane among those that overlap it on its channel
    const ends = new Map(); // channel → end of each lane
    let reach = -Infinity;
    this.marked.forEach((event, at) => {
      const stop = Math.max(event.stop, event.start + POINT_S);
      reach = Math.max(reach, stop);
      this.reach[at] = reach;
      if (!ends.has(event.channel)) ends.set(event.channel, []);
      const lanes = ends.get(event.channel);
      const free = lanes.findIndex((end) => end <= event.start);
      const lane = free < 0 ? lanes.length : free;
      lanes[lane] = stop;
      this.lanes.set(event, lane);
    });
  }

  /** Events, without lights, that touch a stretch of time, in order of their starts. */
  within(start, stop) {
    const found = [];
    for (let at = firstAbove(this.reach, start); at < this.marked.length && this.marked[at].start < stop; at += 1) {
      const event = this.marked[at];
      if (Math.max(event.stop, event.start + POINT_S) > start) found.push(event);
    }
    return found;
  }

  /** When the lights went off and on: {off, on}, null where nobody said so. */
  get lights() {
    const of = (name) => this.list.filter((event) => event.name === name).map(({ start }) => start);
    const [off, on] = [of("Lights off"), of("Lights on")];
    return { off: off.length ? off[0] : null, on: on.length ? on.at(-1) : null };
  }
}

/** Index of the first value above `limit` in values that never fall. */
function firstAbove(values, limit) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
