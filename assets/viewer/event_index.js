// A night's events in order of time: those within a stretch are found without looking at the others.

import { isLights, kindOf, LIGHTS_OFF, LIGHTS_ON } from "./event_kinds.js";

const POINT_S = 0.01; // an event without a duration is as long when it is looked for

export class EventIndex {
  /** `events`: {id, start, stop, name, channel, source, extra} sorted by start, times in seconds from the recording's start. */
  constructor(events) {
    this.events = events.filter(({ name }) => !isLights(name)); // lights are lines over everything, not marks on a channel
    this.places = new Map(this.events.map(({ id }, place) => [id, place]));
    this.reach = new Float64Array(this.events.length); // how far the events up to each one reach: never falls
    let reach = -Infinity;
    this.events.forEach((event, place) => {
      reach = Math.max(reach, endOf(event));
      this.reach[place] = reach;
    });
    const all = (wanted) => events.filter(({ name }) => name === wanted);
    // the first "Lights off" and the last "Lights on" count
    this.marks = [all(LIGHTS_OFF)[0], all(LIGHTS_ON).at(-1)].filter(Boolean);
    const time = (wanted) => this.marks.find(({ name }) => name === wanted)?.start ?? null;
    this.lights = { off: time(LIGHTS_OFF), on: time(LIGHTS_ON) };
  }

  get(id) {
    return this.events[this.places.get(id)];
  }

  /** Events that touch a stretch of time, in order of their starts. */
  within(start, stop) {
    const found = [];
    for (let place = this.firstReaching(start); place < this.events.length && this.events[place].start < stop; place += 1) {
      if (endOf(this.events[place]) > start) found.push(this.events[place]);
    }
    return found;
  }

  /** Place of the first event after which something reaches beyond a time. */
  firstReaching(time) {
    let low = 0;
    let high = this.events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.reach[middle] > time) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** For each group, which of `columns` columns over `seconds` hold an event: Map group → Uint8Array. */
  columns(groups, columns, seconds) {
    const marks = new Map(groups.map(({ group }) => [group, new Uint8Array(columns)]));
    const perSecond = columns / seconds;
    for (const event of this.events) {
      const mark = marks.get(kindOf(event.name).group);
      if (!mark) continue;
      const first = Math.max(0, Math.floor(event.start * perSecond));
      mark.fill(1, first, Math.max(first + 1, Math.ceil(event.stop * perSecond)));
    }
    return marks;
  }
}

function endOf({ start, stop }) {
  return Math.max(stop, start + POINT_S);
}
