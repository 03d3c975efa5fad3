// What stands between an edit and the disk: edits that wait, that were refused because somebody else was there first, or a locked review.

import { element } from "./dom.js";

const LISTED = 4; // edits named in a line

export class ScoringNotice {
  constructor(act) {
    this.act = act;
    this.words = element("span", { className: "words" });
    this.words.setAttribute("role", "alert");
    this.buttons = element("span", { className: "answers" });
    this.root = element("div", { className: "scoring-notice", data: { sleepfm: "scoring-notice" } }, [this.words, this.buttons]);
    this.root.hidden = true;
  }

  open(document, theme) {
    this.document = document;
    this.names = new Map(theme.stages.map(({ number, short }) => [number, short]));
    this.refresh();
  }

  refresh() {
    const shown = this.document ? this.state() : null;
    this.root.hidden = !shown;
    const seen = shown && JSON.stringify(shown);
    if (seen === this.seen) return; // a button that is being pressed stays
    this.seen = seen;
    if (!shown) return;
    this.root.dataset.state = shown.state;
    this.words.textContent = shown.words;
    this.buttons.replaceChildren(...shown.answers.map(([text, action]) => element("button", { text, on: { click: () => this.act(action) } })));
  }

  /** What is to be said now: { state, words, answers: [text, action] }, or null. */
  state() {
    const { document } = this;
    const { failure, conflicts, pending } = document;
    if (conflicts.length) {
      const theirs = conflicts.every(({ by }) => by === document.me) ? "Keep what is there" : "Take theirs";
      const answers = [[theirs, { decide: "theirs" }], ...(document.editable ? [[this.mineWords(), { decide: "mine" }]] : [])];
      return { state: "conflict", words: this.conflictWords(), answers };
    }
    if (failure && pending.length) {
      const count = `${pending.length} ${pending.length === 1 ? "edit" : "edits"} not stored`;
      if (!failure.final) return { state: "waiting", words: `${count} yet: ${failure.message}; trying again. They are kept in this browser.`, answers: [["Try now", { decide: "retry" }]] };
      const answers = [["Try again", { decide: "retry" }], [`Drop ${pending.length === 1 ? "it" : "them"}`, { decide: "discard" }]];
      return { state: "refused", words: `${count} (${this.list(pending)}): ${failure.message}. Kept in this browser until you decide.`, answers };
    }
    if (document.isOpen && !document.editable) return { state: "locked", words: `Read only: ${document.whyNot}.`, answers: [["Edit this one", { decide: "join" }]] };
    if (!document.editable) return { state: "locked", words: `Read only: ${document.whyNot}`, answers: [] };
    return null;
  }

  list(edits) {
    const left = edits.length - LISTED;
    return edits.slice(0, LISTED).map((edit) => subject(edit, this.names)).join("; ") + (left > 0 ? `; and ${left} more` : "");
  }

  conflictWords() {
    const { conflicts, me } = this.document;
    const [{ edit, by, at, error }] = conflicts;
    const [epoch] = edit.shows.stages[0] ?? [];
    const who = by === me ? "you, in another window" : by;
    const standing = epoch && by ? `epoch ${epoch} is ${this.names.get(this.document.stage(epoch)) ?? "not scored"} (${who}, ${clock(at)})` : error;
    const count = conflicts.length === 1 ? "Not stored: " : `${conflicts.length} edits not stored, the first: `;
    return `${count}${subject(edit, this.names)}. Meanwhile ${standing}.`;
  }

  mineWords() {
    return this.document.conflicts.length === 1 ? "Score it again as mine" : "Score them again as mine";
  }
}

/** What an edit was about, in words. */
function subject({ action, shows }, names) {
  const { stages = [], events = [] } = shows ?? {};
  if (stages.length === 1) return `epoch ${stages[0][0]} as ${names.get(stages[0][2]) ?? "not scored"}`;
  if (stages.length) return `epochs ${stages[0][0]}–${stages.at(-1)[0]} as ${names.get(stages[0][2]) ?? "not scored"}`;
  if (!events.length) return action;
  const [, from, to] = events[0];
  return `${(to ?? from)?.name ?? "an event"} ${to ? (from ? "changed" : "added") : "removed"}`;
}

/** When, as the log says it: UTC, 24 hours. */
function clock(at) {
  const [date, time] = new Date(at).toISOString().split("T");
  const isToday = date === new Date().toISOString().slice(0, 10);
  return `${isToday ? "" : `${date} `}${time.slice(0, 5)} UTC`;
}
