// The review queue: the epochs on which a look would move the night's numbers most, one after the other, with how far one is.

import { element, fetchJson } from "./dom.js";

const EPOCHS = 40;
// as analysis/review_queue.py weighs them
const GAIN = "The change of the numbers that is to be expected if this epoch is looked at, all taken together: 100 % would be 10 min of TST, N3, R or "
  + "REM latency, 5 min of sleep latency, or an AHI other by 1 /h.";

export class ReviewQueue {
  /** `onToggle(isOn)` hears when it is opened or closed. */
  constructor(act, onToggle) {
    this.act = act;
    this.onToggle = onToggle;
    this.progress = element("progress", { title: "Epochs of this queue that were looked at" });
    this.count = element("b");
    this.why = element("span", { className: "why" });
    this.why.setAttribute("role", "status");
    this.note = element("span", { className: "quiet note" });
    this.back = this.button("Back", "The one before", { queueNext: -1 });
    this.next = this.button("Leave as it is", "Next, this one stays as it is", { queueNext: 1 });
    this.more = this.button(`${EPOCHS} more`, "Work the queue out anew from what is scored now", { moreQueue: true });
    const close = this.button("×", "Close the queue (Q)", { queue: true });
    this.root = element("div", { className: "queue", data: { sleepfm: "queue" } }, [
      this.count, this.progress, this.why, this.note, element("span", { className: "answers" }, [this.back, this.next, this.more, close]),
    ]);
    this.root.hidden = true;
    this.list = [];
  }

  button(text, title, action) {
    return element("button", { text, title, on: { click: () => this.act(action) } });
  }

  get isOn() {
    return !this.root.hidden;
  }

  open(night, document, route) {
    this.document = document;
    this.route = route;
    this.list = [];
    this.at = 0;
    this.seen = new Set();
    if (!document) {
      this.root.hidden = true;
      this.onToggle(false);
    } else if (this.isOn) this.load();
  }

  toggle() {
    this.root.hidden = this.isOn;
    this.onToggle(this.isOn);
    if (!this.isOn) return;
    if (this.list.length && this.seen.size < this.list.length) this.act({ queueNext: 0 });
    else this.load();
  }

  /** Ask for the queue and go to its first epoch. */
  async load() {
    const { document } = this;
    this.list = [];
    this.say("Working out which epochs matter most …");
    const query = new URLSearchParams({ study: document.study, scoring: document.scoring, epochs: EPOCHS });
    let answer;
    try {
      answer = await fetchJson(`${this.route}/queue?${query}`);
    } catch (error) {
      if (this.document === document) this.say(error.message);
      return;
    }
    if (this.document !== document || !this.isOn) return;
    this.list = answer.epochs;
    this.calibration = answer.calibration ?? "";
    this.at = 0;
    this.seen = new Set();
    if (this.list.length) this.act({ queueNext: 0 });
    else this.say(this.calibration || "No epoch is worth a look: nothing uncertain is left.");
  }

  /** Whether the queue's turn is at an epoch. */
  isAt(epoch) {
    return this.isOn && this.list[this.at]?.epoch === epoch;
  }

  /** Go on, back or (0) to where the queue is; returns the epoch to go to, undefined at the end. */
  move(step) {
    if (!this.list.length) return undefined;
    if (step > 0) this.seen.add(this.at);
    this.at = Math.min(Math.max(this.at + step, 0), this.list.length);
    this.refresh();
    return this.list[this.at]?.epoch;
  }

  refresh() {
    if (!this.isOn || !this.list.length) return;
    const { list, at, seen } = this;
    const item = list[at];
    this.root.dataset.at = String(at + 1);
    this.progress.max = list.length;
    this.progress.value = seen.size;
    this.progress.hidden = false;
    this.count.textContent = item ? `Queue ${at + 1} of ${list.length}` : `All ${list.length} looked at`;
    this.why.textContent = item ? `Epoch ${item.epoch}: ${item.why}` : "";
    this.why.title = this.why.textContent;
    this.note.textContent = item ? gainWords(item.gain) : `${this.changed()} now differ from what the review began with.`;
    this.note.title = `${GAIN} ${this.calibration}`;
    this.back.disabled = at === 0;
    this.next.hidden = !item;
    this.back.hidden = false;
    this.more.hidden = Boolean(item);
  }

  changed() {
    const count = this.list.filter(({ epoch }) => this.document.isChanged(epoch)).length;
    return count === 1 ? "1 epoch" : `${count} epochs`;
  }

  say(text) {
    this.count.textContent = "Queue";
    this.why.textContent = text;
    this.why.title = text;
    this.note.textContent = "";
    for (const node of [this.progress, this.back, this.next, this.more]) node.hidden = true;
    delete this.root.dataset.at;
  }
}

function gainWords(gain) {
  return `expected: ${gain < 0.01 ? "below 1" : Math.round(100 * gain)} % of a change that matters`;
}
