// Edits that the server has not stored yet, kept by the browser: a closed tab, a crash or a dead server loses none of them.
//
// Each open page keeps its own, under a name of its own; the next page of the same scorer that opens the scoring takes over what it
// finds. An edit that was stored after all is sent once more then, which its key makes harmless.

const PREFIX = "sleepfm.edits";

export class KeptEdits {
  /** `place` names the scoring and its user; nothing else may share it. */
  constructor(place) {
    this.prefix = [PREFIX, ...place.map(encodeURIComponent), ""].join("/");
    this.name = this.prefix + newKey();
    this.kept = false;
  }

  /** Return what earlier pages left ([edits, conflicts] of each), and take it over: they hold it no longer. */
  takeOver() {
    const left = [];
    try {
      for (const name of Object.keys(localStorage).filter((one) => one.startsWith(this.prefix) && one !== this.name).sort()) {
        left.push(JSON.parse(localStorage.getItem(name)));
        localStorage.removeItem(name);
      }
    } catch {
      // a browser that keeps nothing, or something unreadable: what could be read is taken
    }
    return left;
  }

  /** Keep these edits and conflicts, or nothing when there are none; false when the browser keeps nothing. */
  keep(edits, conflicts) {
    const isEmpty = !edits.length && !conflicts.length;
    if (isEmpty && !this.kept) return true;
    try {
      if (isEmpty) localStorage.removeItem(this.name);
      else localStorage.setItem(this.name, JSON.stringify({ edits, conflicts }));
      this.kept = !isEmpty;
      return true;
    } catch {
      return false; // full, or forbidden: the page still warns before it is left
    }
  }
}

/** A name that nobody else makes. `crypto.randomUUID` would do, but only where the app is reached by https or on this machine. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
