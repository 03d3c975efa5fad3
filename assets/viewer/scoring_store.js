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

  /**
   * Give what earlier pages left ({ edits, conflicts } of each) to `take`, which keeps it under this page's name and says whether the
   * browser does; the old one is let go of then. At no moment does the browser hold it nowhere.
   */
  takeOver(take) {
    for (const name of this.others()) {
      try {
        if (take(JSON.parse(localStorage.getItem(name)))) localStorage.removeItem(name);
      } catch {
        // unreadable: the others are taken all the same
      }
    }
  }

  others() {
    try {
      return Object.keys(localStorage).filter((one) => one.startsWith(this.prefix) && one !== this.name).sort();
    } catch {
      return []; // a browser that keeps nothing
    }
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
