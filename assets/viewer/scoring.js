// Scoring: what the keys and the pointer do to the review that is on the screen, and what is said about it.

import { element } from "./dom.js";
import { ReviewQueue } from "./review_queue.js";
import { ScoringBar } from "./scoring_bar.js";
import { ReviewDocument } from "./scoring_document.js";
import { ScoringNotice } from "./scoring_notice.js";

const EPOCH_S = 30;

export class Scoring {
  /**
   * `viewer` is asked for: target (the epoch asked for), isSeen (its picture is on the screen or comes at once), go(epoch),
   * step(), say(text), changed({ stages, events }), select(selection) and stored(count), the number of edits that are not.
   */
  constructor(settings, viewer) {
    this.settings = settings;
    this.viewer = viewer;
    this.document = null;
    this.selection = null; // { from, to }, epochs, both included; `anchor` is where it began
    this.bar = new ScoringBar(settings, (action) => viewer.act(action));
    this.notice = new ScoringNotice((action) => viewer.act(action));
    this.queue = new ReviewQueue((action) => viewer.act(action), (isOn) => this.bar.showQueue(isOn));
    this.root = element("div", { className: "scoring" }, [this.bar.root, this.notice.root, this.queue.root]);
  }

  /**
   * A night was opened: its first scoring is scored when it is a person's. `why` says why nothing can be when it is not; `joined` are
   * the scorings of other names that were begun or gone on with on this page.
   */
  open(night, theme, { route, why, eventSets, joined }) {
    this.night = night;
    this.theme = theme;
    this.why = why;
    this.route = route;
    const review = night.scorings[0]?.review ?? null;
    const isSame = review && this.document?.study === night.study && this.document.scoring === String(review.scoring);
    this.select(null);
    if (!isSame) {
      this.document?.close();
      this.document = review && new ReviewDocument(review, { study: night.study, route, isMine: joined.includes(review.scoring) });
      this.queue.open(night, this.document, route);
    }
    this.viewer.stored(this.document?.unsaved ?? 0);
    this.bar.open(this.document, theme, route, eventSets);
    this.notice.open(this.document, theme);
    if (!this.document) return;
    if (isSame && joined.includes(review.scoring)) this.document.join();
    if (isSame) this.document.catchUp(review);
    else this.document.onChange((change) => this.changed(change));
    this.changed({ stages: [], events: [], by: "state", turned: null, nothingTo: "", note: "", news: [] });
  }

  close() {
    this.document?.close();
    this.bar.close();
  }

  /** The document changed: what is drawn from the night follows. */
  changed(change) {
    const { document } = this;
    const [first] = this.night.scorings;
    Object.assign(first, { stages: document.stages, proposed: document.proposed, proposal: document.proposal });
    if (change.note) this.viewer.say(change.note);
    if (change.nothingTo) this.viewer.say(`Nothing to ${change.nothingTo}.`);
    if (change.turned) this.follow(change.turned);
    if (change.news.length) this.viewer.say(this.newsWords(change.news));
    this.notice.refresh();
    this.bar.refresh();
    this.queue.refresh();
    this.viewer.stored(document.unsaved);
    this.viewer.changed(change);
  }

  /** Do what a key or a button asks for; true when it was meant for the scoring. */
  act(action) {
    if (action.extend) this.extend(action.extend);
    else if (action.score !== undefined) this.score(action.score, action.stay);
    else if (action.undo || action.redo) this.turnBack(action.undo ? "undo" : "redo");
    else if (action.lights) this.setLights(action.lights);
    else if (action.reset) this.reset(action.reset);
    else if (action.takeEvents) this.takeEvents(action.takeEvents);
    else if (action.queue) this.toggleQueue();
    else if (action.queueNext !== undefined) this.goInQueue(action.queueNext);
    else if (action.moreQueue) this.queue.load();
    else if (action.layout) this.chooseLayout(action.layout);
    else if (action.decide) this.decide(action.decide);
    else return false;
    return true;
  }

  /** Esc: a menu or the selection goes, else the queue when `last`; false when there was none. */
  escape({ last = false } = {}) {
    const was = this.bar.closeMenu() || this.selection !== null;
    this.select(null);
    if (was || !last || !this.queue.isOn) return was;
    this.queue.toggle();
    return true;
  }

  /** Whether edits can be made; says why not when they cannot. */
  mayEdit() {
    const why = this.document ? (this.document.editable ? "" : `Read only: ${this.document.whyNot}`) : this.why;
    if (why) this.viewer.say(why);
    return !why;
  }

  score(stage, stay) {
    if (!this.mayEdit()) return;
    const { viewer, document, selection } = this;
    const name = this.nameOf(stage);
    if (selection) {
      const epochs = Array.from({ length: selection.to - selection.from + 1 }, (_, at) => selection.from + at);
      document.score(epochs, stage);
      this.select(null);
      viewer.say(`Epochs ${selection.from}–${selection.to}: ${name}`);
      viewer.go(selection.to + 1);
      return;
    }
    const epoch = viewer.target;
    if (!viewer.isSeen) {
      viewer.say(`Epoch ${epoch} is not on the screen yet: not scored.`);
      return;
    }
    if (epoch > document.stages.length) {
      viewer.say("The last epoch is not whole: it is not scored.");
      return;
    }
    // the page turns first: the frame that draws it draws what the edit changes too
    if (this.queue.isAt(epoch)) this.goInQueue(1);
    else if (!stay) viewer.step();
    document.score([epoch], stage);
  }

  turnBack(what) {
    if (!this.mayEdit()) return;
    const known = new Map(this.document.events);
    const touched = this.document[what]();
    if (!touched) {
      this.viewer.say(`Nothing to ${what}.`);
      return;
    }
    if (touched.stages) this.follow(touched, known);
    this.viewer.say(what === "undo" ? "Undone" : "Done again");
  }

  /** Go where something changed. */
  follow({ stages, events }, known = this.document.events) {
    const [id] = events;
    if (stages.length) this.viewer.go(Math.min(...stages));
    else if (id) {
      const event = this.document.events.get(id) ?? known.get(id);
      if (event) this.viewer.go(Math.floor(event.start / EPOCH_S) + 1);
    }
  }

  /** The lights go off when the epoch begins, on when it ends; where they do already, the mark is taken away. */
  setLights(name) {
    if (!this.mayEdit()) return;
    const { document, viewer } = this;
    const epoch = viewer.target;
    const at = name === "Lights off" ? (epoch - 1) * EPOCH_S : Math.min(epoch * EPOCH_S, this.night.duration_s);
    const marks = document.eventList.filter((event) => event.name === name);
    const [first, ...others] = marks;
    const isThere = marks.length === 1 && first.start === at;
    const mark = isThere ? null : { ...(first ?? { name, channel: "", extra: {} }), source: document.scorer, start: at, stop: at };
    const events = [[first?.id ?? document.newId(), first ?? null, mark], ...others.map((other) => [other.id, other, null])];
    document.apply({ events }, "lights");
    viewer.say(isThere ? `${name}: mark taken away` : `${name} ${name === "Lights off" ? "at the beginning" : "at the end"} of epoch ${epoch}`);
  }

  reset(what) {
    if (!this.mayEdit()) return;
    const { document, selection } = this;
    const origin = document.proposal || "not scored";
    if (what === "selection" && selection) {
      const patch = [];
      for (let epoch = selection.from; epoch <= selection.to; epoch += 1) {
        if (document.isChanged(epoch)) patch.push([epoch, document.stage(epoch), document.proposed[epoch - 1] ?? -1]);
      }
      document.apply({ stages: patch }, "score");
      this.select(null);
      this.viewer.say(patch.length ? `${patch.length} epochs back to ${origin}` : `They are as in ${origin} already.`);
      return;
    }
    const isDone = document.reset(what);
    const words = what === "stages" ? `All stages back to: ${origin}. Ctrl Z brings yours back.` : "The events are back to those it began with. Ctrl Z brings yours back.";
    this.viewer.say(isDone ? words : `The ${what} are as they began.`);
  }

  takeEvents({ id, name }) {
    if (!this.mayEdit()) return;
    this.document.takeEvents(id);
    this.viewer.say(`The events are those of: ${name}. Ctrl Z brings yours back.`);
  }

  decide(how) {
    if (how === "join") this.document.join();
    else if (how === "retry") this.document.hurry({ again: true });
    else if (how === "discard") this.document.discard();
    else if (!this.document.decide({ mine: how === "mine" })) this.mayEdit();
  }

  chooseLayout(name) {
    this.settings.chooseLayout(name);
    this.bar.refresh();
    this.viewer.say(`Keys: ${this.settings.layout.text}`);
  }

  // the selection

  /** Select epochs from one to another, in any order; null for none. */
  select(selection) {
    this.selection = selection && { anchor: selection.anchor, from: Math.min(selection.anchor, selection.head), to: Math.max(selection.anchor, selection.head), head: selection.head };
    if (this.selection) this.bar.showSelection(this.selection);
    else this.bar.showSelection(null);
    this.viewer.select(this.selection);
  }

  /** Select from the epoch on the screen (or the selection's beginning) one epoch on. Where nothing is scored, turn a screen. */
  extend(step) {
    if (!this.document?.editable) {
      this.viewer.act({ page: step });
      return;
    }
    const { target } = this.viewer;
    const anchor = this.selection?.anchor ?? target;
    const head = Math.min(Math.max((this.selection?.head ?? target) + step, 1), this.document.stages.length);
    this.select({ anchor, head });
    this.viewer.go(head);
  }

  /** The pointer selects in the hypnogram; `isDone` when it is let go. */
  drag(anchor, head, isDone) {
    if (!this.document?.editable) return;
    const last = this.document.stages.length;
    this.select({ anchor: Math.min(anchor, last), head: Math.min(head, last) });
    if (isDone) this.viewer.go(this.selection.from);
  }

  /** Shift and a click: from the epoch on the screen to there. */
  extendTo(epoch) {
    this.drag(this.selection?.anchor ?? this.viewer.target, epoch, true);
  }

  // the queue

  toggleQueue() {
    if (!this.queue.isOn && !this.mayEdit()) return;
    this.queue.toggle();
  }

  goInQueue(step) {
    const epoch = this.queue.move(step);
    if (epoch) this.viewer.go(epoch);
  }

  /** What others did since, in a line. */
  newsWords(news) {
    const { by, stages, events } = news.at(-1);
    const [[epoch, stage] = []] = stages;
    const what = epoch ? `epoch ${epoch} is ${this.nameOf(stage)} now${stages.length > 1 ? `, and ${stages.length - 1} more` : ""}` : events.length ? "events changed" : "changed the state";
    return `${by}: ${what}${news.length > 1 ? ` (${news.length} changes)` : ""}`;
  }

  nameOf(stage) {
    return this.theme.stages.find(({ number }) => number === stage)?.short ?? "not scored";
  }
}
