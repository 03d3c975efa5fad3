// Windows of the traces as they came from the server: kept while memory allows, fetched ahead, given up when no longer wanted.

import { fetchChecked } from "./dom.js";

const MAX_BYTES = 96 * 1024 * 1024;
const MAX_FETCHES = 3;
const GAP = -32768;

export class TraceStore {
  constructor(onArrival, onFailure) {
    this.onArrival = onArrival;
    this.onFailure = onFailure;
    this.windows = new Map(); // url → decoded window, least recently used first
    this.fetches = new Map(); // url → AbortController
    this.failed = new Set(); // urls not to be fetched ahead again
    this.wanted = [];
    this.bytes = 0;
  }

  get(url) {
    const found = this.windows.get(url);
    if (!found) return undefined;
    this.windows.delete(url);
    this.windows.set(url, found);
    return found.traces;
  }

  /** Say what is needed now and what will probably be needed next; everything else under way is given up. */
  want(url, ahead) {
    this.wanted = [url, ...ahead];
    for (const [other, controller] of this.fetches) {
      if (!this.wanted.includes(other)) {
        controller.abort();
        this.fetches.delete(other);
      }
    }
    this.failed.delete(url); // what failed when it was fetched ahead deserves another try now
    this.pump();
  }

  pump() {
    // What is needed now goes alone: windows fetched ahead would only compete with it.
    const [now, ...ahead] = this.wanted;
    const list = this.windows.has(now) ? ahead : [now];
    for (const url of list) {
      if (this.fetches.size >= MAX_FETCHES) return;
      if (!this.windows.has(url) && !this.fetches.has(url) && !this.failed.has(url)) this.fetch(url);
    }
  }

  async fetch(url) {
    const controller = new AbortController();
    this.fetches.set(url, controller);
    try {
      const response = await fetchChecked(url, controller.signal);
      this.keep(url, await response.arrayBuffer());
    } catch (error) {
      if (error.name === "AbortError") return;
      this.failed.add(url);
      this.onFailure(url, error.message);
    } finally {
      if (this.fetches.get(url) === controller) this.fetches.delete(url);
    }
    this.onArrival();
    this.pump();
  }

  keep(url, buffer) {
    this.windows.set(url, { traces: unpack(buffer), bytes: buffer.byteLength });
    this.bytes += buffer.byteLength;
    for (const [old, { bytes }] of this.windows) {
      if (this.bytes <= MAX_BYTES || old === url) break;
      this.windows.delete(old);
      this.bytes -= bytes;
    }
  }

  close() {
    for (const controller of this.fetches.values()) controller.abort();
    this.fetches.clear();
    this.wanted = [];
  }
}

/** The counterpart of `pack` in sleepfm/viewer/trace_windows.py. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let position = 4 + length;
  return header.traces.map((trace) => {
    const codes = new Int16Array(buffer, position, trace.n);
    position += 2 * trace.n;
    return { ...trace, codes };
  });
}

export { GAP };
