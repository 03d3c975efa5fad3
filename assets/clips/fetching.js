// Fetching for many clips at once: a few requests at a time, and a clip's samples before what another clip needs first, so that
// the first clips are drawn first.

import { fetchChecked, fetchJson } from "../viewer/dom.js";
import { unpack } from "../viewer/trace_store.js";

const AT_ONCE = 3;
const MOST_KEPT = 200; // answers; a window of a clip is some tens of kilobytes

export class Fetching {
  constructor() {
    this.kept = new Map(); // url → promise of the answer, the oldest first
    this.waiting = [];
    this.running = 0;
  }

  json(url) {
    return this.keep(url, () => fetchJson(url), (request) => this.waiting.push(request));
  }

  windows(url) {
    const ask = async () => unpack(await (await fetchChecked(url)).arrayBuffer());
    return this.keep(url, ask, (request) => this.waiting.unshift(request));
  }

  keep(url, ask, enqueue) {
    const known = this.kept.get(url);
    if (known) return known;
    const answer = new Promise((resolve, reject) => {
      enqueue(() => ask().then(resolve, reject));
    });
    answer.catch(() => this.kept.delete(url)); // what failed deserves another try
    this.kept.set(url, answer);
    for (const old of this.kept.keys()) {
      if (this.kept.size <= MOST_KEPT) break;
      this.kept.delete(old);
    }
    this.pump();
    return answer;
  }

  pump() {
    while (this.running < AT_ONCE && this.waiting.length) {
      this.running += 1;
      this.waiting.shift()().finally(() => {
        this.running -= 1;
        this.pump();
      });
    }
  }
}
