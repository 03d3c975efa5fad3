// A review on the screen: its stages and events as its scorer sees them now, and the way of every edit to the server.
//
// What the server has confirmed lies below; edits that it has not lie over it, in order. So a key shows at once, other people's edits
// are laid under when they become known, and what was refused falls off and becomes a conflict that somebody decides.

import { sendJson } from "./dom.js";
import { bare, inverse, isSame, lastOfOthers, lay, noteLooks, ownLast } from "./scoring_patch.js";
import { KeptEdits, newKey } from "./scoring_store.js";

const POLL_MS = 10_000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const MAX_BATCH = 200;

export class ReviewDocument {
  /**
   * `review` is the server's object (GET /sleepfm/review); `study` its study's id; `route` the address of the review routes; `isMine`
   * whether its user has said that they edit a scoring that bears another's name.
   *
   * stages: Int8 numbers, one an epoch. events: Map id → { id, start, stop, name, channel, source, extra }. lookedAt: Set of the
   * epochs that a person set or confirmed. They are only read outside; `apply` changes them.
   */
  constructor(review, { study, route, isMine = false }) {
    this.isMine = isMine || review.scorer === review.me || review.undo || review.redo;
    this.study = study;
    this.route = route;
    this.scoring = String(review.scoring);
    this.listeners = new Set();
    this.pending = []; // edits not confirmed: { key, action, patch?, set?, shows, of? }; `shows`: what it does, null where only the server knows
    this.conflicts = []; // edits that were refused: { edit, by, at, error }
    this.done = []; // edits of this page that can be undone, the last one last
    this.undone = [];
    this.news = []; // what others did and nobody here was told yet
    this.failure = null; // { message, retries } while edits cannot be stored
    this.tries = 0;
    this.take(review);
    this.kept = new KeptEdits([study, this.scoring, review.begun ?? "", review.me]);
    this.kept.takeOver(({ edits, conflicts }) => {
      this.conflicts.push(...conflicts);
      for (const edit of edits) this.push(edit);
      return this.keep();
    });
    this.redraw();
    this.pollTimer = setInterval(() => this.poll(), POLL_MS);
    this.onLeave = (event) => { if (this.unsaved) event.preventDefault(); };
    this.onAwake = () => { if (document.visibilityState === "visible") this.hurry(); };
    window.addEventListener("beforeunload", this.onLeave);
    window.addEventListener("online", this.onAwake);
    document.addEventListener("visibilitychange", this.onAwake);
    if (this.pending.length) this.send();
  }

  /** Another view comes: edits under way still arrive, the others stay kept in the browser. */
  close() {
    this.closed = true;
    clearInterval(this.pollTimer);
    clearTimeout(this.retryTimer);
    window.removeEventListener("beforeunload", this.onLeave);
    window.removeEventListener("online", this.onAwake);
    document.removeEventListener("visibilitychange", this.onAwake);
    this.listeners.clear();
  }

  /**
   * Hear of every change: `listener({ stages, events, by, turned, nothingTo, note, news })` with the epochs (1-based) and event ids
   * that look different now, and who made it: "me", "others", or "state" when only what can be done or what is stored has changed.
   * `turned` ({ stages, events }) is what an undo or redo was about when only the server knew; `nothingTo` is "undo" or "redo" when it
   * knew of none; `note` says what one of them left because somebody else had changed it since; `news` are other people's changes as
   * the server gives them. Returns how to stop.
   */
  onChange(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Edits that are not stored: on their way, waiting for the server, or refused and not decided. */
  get unsaved() {
    return this.pending.length + this.conflicts.length;
  }

  /** Whether edits are taken now; `whyNot` says why not. */
  get editable() {
    return this.isOpen && this.isMine;
  }

  get whyNot() {
    if (!this.isOpen) return this.reason;
    return this.isMine ? "" : `this is the scoring of ${this.scorer}. Press Score above for one of your own`;
  }

  /** Its user wants to edit this scoring, which bears another's name. */
  join() {
    this.isMine = true;
    this.tell({ by: "state" });
  }

  get canUndo() {
    return this.editable && (this.done.length > 0 || this.server.undo);
  }

  get canRedo() {
    return this.editable && (this.undone.length > 0 || this.server.redo);
  }

  /** The events in order of time, each with its id. */
  get eventList() {
    if (!this.sorted) {
      this.sorted = [...this.events.values()];
      this.sorted.sort((a, b) => a.start - b.start || a.stop - b.stop);
    }
    return this.sorted;
  }

  stage(epoch) {
    return this.stages[epoch - 1] ?? -1;
  }

  /** Whether a person has given the epoch another stage than the proposal's. */
  isChanged(epoch) {
    return this.stage(epoch) !== (this.proposed[epoch - 1] ?? -1);
  }

  /** A new event's id. */
  newId() {
    return newKey();
  }

  /** Score epochs (1-based) as one edit. One that has the stage already is confirmed by it. */
  score(epochs, stage) {
    return this.apply({ stages: epochs.map((epoch) => [epoch, this.stage(epoch), stage]) }, "score");
  }

  /**
   * Make an edit: `patch` is { stages: [[epoch, from, to], …], events: [[id, from|null, to|null], …] }, `action` "score", "event" or
   * "lights". It shows at once and is stored as soon as the server answers. An event may carry more than its six fields (its id):
   * they are left out. False when there is nothing in it or nothing may be changed.
   */
  apply(patch, action) {
    const stages = (patch.stages ?? []).filter(([epoch]) => epoch >= 1 && epoch <= this.stages.length);
    const events = (patch.events ?? []).map(([id, from, to]) => [id, bare(from), bare(to)]).filter(([, from, to]) => !isSame(from, to));
    if (!this.editable || !(stages.length || events.length)) return false;
    const whole = { stages, events };
    this.make({ key: newKey(), action, patch: whole, shows: whole });
    return true;
  }

  /** Take the last edit back; returns what that changes ({ stages, events }), null when there is nothing to take back. */
  undo() {
    if (!this.canUndo) return null;
    const edit = this.done.at(-1);
    return this.make({ key: newKey(), action: "undo", shows: edit?.shows ? inverse(edit.shows) : null, of: edit?.key });
  }

  /** Make again what was taken back; returns as `undo`. */
  redo() {
    if (!this.canRedo) return null;
    const edit = this.undone.at(-1);
    return this.make({ key: newKey(), action: "redo", shows: edit?.shows ?? null, of: edit?.key });
  }

  /** Back to what the review began from: `what` is "stages" or "events". One edit, which can be undone. */
  reset(what) {
    if (!this.editable) return false;
    const differing = what === "stages" ? [...this.stages.keys()].map((at) => at + 1).filter((epoch) => this.isChanged(epoch)) : null;
    if (differing?.length === 0) return false;
    const shows = differing && { stages: differing.map((epoch) => [epoch, this.stage(epoch), this.proposed[epoch - 1] ?? -1]), events: [] };
    this.make({ key: newKey(), action: `reset ${what}`, shows });
    return true;
  }

  /** Replace the events by those of a stored set. One edit, which can be undone. */
  takeEvents(set) {
    if (!this.editable) return false;
    this.make({ key: newKey(), action: "take events", set, shows: null });
    return true;
  }

  /** Decide the conflicts: `mine` makes the refused edits anew over what stands there now, else they are dropped. False when locked. */
  decide({ mine }) {
    if (mine && !this.editable) return false;
    const refused = this.conflicts;
    this.conflicts = [];
    this.keep();
    if (mine) {
      for (const { edit } of refused) {
        const stages = (edit.shows?.stages ?? []).map(([epoch, , to]) => [epoch, this.stage(epoch), to]);
        const events = (edit.shows?.events ?? []).map(([id, , to]) => [id, this.events.get(id) ?? null, to]);
        this.apply({ stages, events }, edit.action === "lights" || edit.action === "event" ? edit.action : events.length ? "event" : "score");
      }
    }
    this.tell({ by: "state" });
    return true;
  }

  /** Drop every edit that is not stored: the screen shows what the server has. */
  discard() {
    this.pending = [];
    this.conflicts = [];
    this.done = [];
    this.undone = [];
    this.failure = null;
    this.keep();
    this.tell({ ...this.redraw(), by: "state" });
  }

  /** Take over a newer state of the whole review (the overview was fetched again); `anew` an older one too. */
  catchUp(review, { anew = false } = {}) {
    if (review.version < this.version && !anew) return;
    this.take(review);
    this.tell({ ...this.redraw(), by: "others" });
  }

  // what is below is the document's own

  take(review) {
    this.scorer = review.scorer;
    this.me = review.me;
    this.version = review.version;
    this.proposed = review.proposed;
    this.proposal = review.proposal;
    this.base = {
      stages: Int8Array.from(review.stages), events: new Map(review.events.map((event) => [event.id, event])), lookedAt: new Set(review.looked_at),
    };
    this.stages ??= this.base.stages.slice();
    this.events ??= new Map();
    this.lookedAt ??= new Set(this.base.lookedAt);
    this.takeState(review);
  }

  takeState(answer) {
    this.server = { undo: answer.undo ?? this.server?.undo, redo: answer.redo ?? this.server?.redo };
    this.state = answer.state ?? this.state;
    this.isOpen = answer.editable ?? this.isOpen;
    this.reason = answer.why_not ?? this.reason ?? "";
  }

  make(edit) {
    this.push(edit);
    this.keep();
    const touched = edit.shows ? lay(edit.shows, this) : {};
    noteLooks(this.lookedAt, edit.action, touched.stages);
    this.tell({ ...touched, by: "me" });
    this.send();
    return touched;
  }

  /** Queue an edit and note what can be undone then. */
  push(edit) {
    this.pending.push(edit);
    if (edit.action === "undo") {
      const undone = this.done.pop();
      if (undone) this.undone.push(undone);
    } else if (edit.action === "redo") {
      const again = this.undone.pop();
      if (again) this.done.push(again);
    } else {
      this.done.push(edit);
      this.undone = [];
    }
  }

  keep() {
    return this.kept.keep(this.pending, this.conflicts);
  }

  tell({ stages = [], events = [], by, turned = null, nothingTo = "", note = "" }) {
    if (events.length) this.sorted = null;
    const news = this.news.splice(0);
    for (const listener of this.listeners) listener({ stages, events, by, turned, nothingTo, note, news });
  }

  /** Lay the unconfirmed edits over what is confirmed; returns what looks different now. On one that is locked they do not show. */
  redraw() {
    const target = { stages: this.base.stages.slice(), events: new Map(this.base.events), lookedAt: new Set(this.base.lookedAt) };
    for (const { shows, action } of this.isOpen ? this.pending : []) if (shows) noteLooks(target.lookedAt, action, lay(shows, target).stages);
    const stages = [];
    for (let at = 0; at < target.stages.length; at += 1) if (target.stages[at] !== this.stages[at]) stages.push(at + 1);
    const ids = new Set([...this.events.keys(), ...target.events.keys()]);
    const events = [...ids].filter((id) => !isSame(this.events.get(id), target.events.get(id)));
    this.stages = target.stages;
    this.events = target.events;
    this.lookedAt = target.lookedAt;
    this.sorted = null;
    return { stages, events };
  }

  /** Send what waits: one request at a time, with all edits that came meanwhile. */
  async send() {
    if (this.sending || this.failure?.final) return;
    clearTimeout(this.retryTimer);
    const batch = this.nextBatch();
    if (!batch.length) return;
    this.sending = batch;
    const body = { version: this.version, edits: batch.map(({ key, action, patch, set, of }) => ({ key, action, patch, set, of })) };
    try {
      const { status, answer } = await sendJson(this.address("edits"), body);
      this.sending = null;
      this.answered(status, answer, batch, body.version);
    } catch (error) {
      this.sending = null;
      this.waitAndRetry(error.message);
    }
  }

  /** The edits to send next. One whose effect only the server knows goes alone: whether the next makes sense shows its answer. */
  nextBatch() {
    while (this.pending.length && this.isPointless(this.pending[0])) {
      const { action } = this.pending.shift();
      this.keep();
      this.tell({ by: "state", nothingTo: action });
    }
    const blind = this.pending.findIndex(({ shows }) => !shows);
    const count = blind < 0 ? this.pending.length : Math.max(1, blind);
    return this.pending.slice(0, Math.min(count, MAX_BATCH));
  }

  /** An undo or redo of what happened before this page, when there is nothing of that any more. */
  isPointless({ action, shows }) {
    return !shows && ((action === "undo" && !this.server.undo) || (action === "redo" && !this.server.redo));
  }

  answered(status, answer, batch, since) {
    if ((status === 200 || status === 409) && Number.isInteger(answer.version)) {
      this.failure = null;
      this.tries = 0;
      const refused = new Set(answer.refused ?? []);
      const stop = batch.findIndex(({ key }) => refused.has(key));
      const stored = new Set(batch.slice(0, stop < 0 ? batch.length : stop).map(({ key }) => key));
      const by = this.lay(answer, since);
      // the first one met something else; those behind it were not tried and are sent again
      if (stop >= 0) this.fall(batch[stop], answer);
      this.pending = this.pending.filter(({ key }) => !stored.has(key));
      this.keep();
      const left = answer.changes.filter(({ by: who, action, note }) => who === this.me && note && (action === "undo" || action === "redo"));
      this.tell({ ...this.redraw(), by, turned: batch[0].shows ? null : ownLast(answer.changes, this.me), note: left.at(-1)?.note ?? "" });
      this.send();
    } else if (status >= 500 || status === 200) {
      this.waitAndRetry(answer.error ?? `the app answered with status ${status}`);
    } else {
      // locked, no longer allowed, or not understood: the edits stay and somebody decides
      if (status === 423) {
        this.takeState({ editable: false, why_not: answer.error, ...answer });
        this.reload();
      }
      this.failure = { message: answer.error ?? `the app answered with status ${status}`, final: true };
      this.tell({ ...this.redraw(), by: "state" });
    }
  }

  /** An edit was refused: what stands there stands, and somebody decides. */
  fall(edit, { error, changes }) {
    const isOther = ({ key, of }) => key !== edit.key && of !== edit.key; // an undo of it would undo the edit before it
    const withdrawn = this.pending.some(({ of, action }) => of === edit.key && action === "undo");
    this.pending = this.pending.filter(isOther);
    this.done = this.done.filter(isOther);
    this.undone = this.undone.filter(isOther);
    if (!withdrawn && edit.shows) this.conflicts.push({ edit, error, ...lastOfOthers(edit, changes, this.me) });
  }

  waitAndRetry(message) {
    this.failure = { message, final: false };
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    if (!this.closed) this.retryTimer = setTimeout(() => this.send(), wait);
    this.tell({ by: "state" });
  }

  /** Try at once: the network is back, the page is looked at again, or somebody asks for it. */
  hurry({ again = false } = {}) {
    if (again) this.failure = null;
    if (this.pending.length) this.send();
    else this.poll();
  }

  async poll() {
    if (this.sending || this.pending.length || document.visibilityState !== "visible") return;
    try {
      const since = this.version;
      const { status, answer } = await sendJson(`${this.address("changes")}&since=${since}`);
      if (status !== 200 || this.sending || this.pending.length || this.closed) return;
      const before = JSON.stringify([this.version, this.state, this.isOpen, this.server]);
      const by = this.lay(answer, since);
      if (before !== JSON.stringify([this.version, this.state, this.isOpen, this.server])) this.tell({ ...this.redraw(), by });
    } catch {
      // the app is away: nothing waits to be stored, and the next edit says so
    }
  }

  /** Bring what is confirmed to the state of an answer to a request that knew version `since`; returns whose the changes were. */
  lay(answer, since) {
    if (answer.version < since) this.reload({ anew: true }); // the library was put back to an older state
    if (answer.state !== undefined && answer.state !== this.state) this.reload(); // locked or reopened: why, only the whole says
    this.takeState(answer);
    if (answer.version <= this.version) return "state";
    let by = "me";
    for (const change of answer.changes) {
      for (const [epoch, to] of change.stages ?? []) this.base.stages[epoch - 1] = to;
      for (const [id, to] of change.events ?? []) {
        if (to) this.base.events.set(id, { id, ...to });
        else this.base.events.delete(id);
      }
      noteLooks(this.base.lookedAt, change.action, (change.stages ?? []).map(([epoch]) => epoch));
      if (change.by === this.me) continue;
      by = "others";
      this.news.push(change);
    }
    this.version = answer.version;
    return by;
  }

  /** Ask for the whole review anew. */
  async reload({ anew = false } = {}) {
    try {
      const { status, answer } = await sendJson(this.address(""));
      if (status === 200 && !this.closed) this.catchUp(answer, { anew });
    } catch {
      // the app is away: what is shown stays, and the next edit says so
    }
  }

  address(what) {
    return `${this.route}${what && `/${what}`}?${new URLSearchParams({ study: this.study, scoring: this.scoring })}`;
  }
}
