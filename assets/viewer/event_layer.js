// Events on the traces: drawn on their channel, made and edited with the pointer and with keys.
//
// The viewer hands on what keys ask for as { event: word }: "tool" (E), "menu" (Enter), "delete" (Delete, Backspace), "next" (J),
// "previous" (Shift+J), "earlier" and "later" (, and .: the selected one by 0.1 s), "shorter" and "longer" (< and >), "escape".

import { clockText } from "./clock.js";
import { counting } from "./event_counting.js";
import { drawLights, drawMarks, drawTints, placeEvents, rowFinder, STRIP } from "./event_drawing.js";
import { EventIndex } from "./event_index.js";
import { firstName, isLights, lengthRemark } from "./event_kinds.js";
import { EventMenu } from "./event_menu.js";
import { EventPointer } from "./event_pointer.js";
import { desaturationOf } from "./event_samples.js";
import { moved, spanning, STEP_S, withEdge } from "./event_times.js";

const EPOCH_S = 30;
const NEW_BY_KEY_S = 10; // length of an event that is made without a pointer
const NO_DEPTH = "its depth is not known: all of it must be on the screen, on a SpO2 channel in %, without gaps";
const NOT_SCORING = "Events can be made and changed while you score: press Score above.";

export class EventLayer {
  /** `panel` shows the traces; `act` takes what the viewer does: { at: seconds } goes there, {} gives it the focus back. */
  constructor(panel, act) {
    this.panel = panel;
    this.act = act;
    this.index = new EventIndex([]);
    this.selected = null; // id
    this.isOn = false; // the event tool: a drag over a channel makes an event
    this.boxes = []; // where the events on the screen are drawn
    this.lightBoxes = [];
    this.names = new Map(); // kind of channel → what an event drawn there was called last
    this.listed = null; // events of the table's filter, which J goes through
    this.listeners = new Set();
    this.menu = new EventMenu((choice) => this.chosen(choice), () => act({}));
    this.pointer = new EventPointer(this);
    panel.root.append(this.menu.root);
    panel.events = this;
    panel.canvas.addEventListener("contextmenu", (event) => this.openMenuAt(event));
  }

  /** A night was opened; `document` is its ReviewDocument, null where nobody scores. */
  open(night, document, theme) {
    if (night.study !== this.night?.study) this.selected = null;
    this.stop?.();
    this.pointer.cancel();
    this.menu.close();
    Object.assign(this, { night, document, theme, listed: null });
    this.stop = document?.onChange((change) => this.changed(change));
    this.numbered = night.events.map((event, at) => ({ ...event, id: event.id ?? `${at}` }));
    this.reindex();
  }

  /** Hear what has changed: "events", "stages" or "selection". */
  onChange(listener) {
    this.listeners.add(listener);
  }

  tell(what) {
    if (what === "stages") this.panel.redrawSoon(); // mostly the page turns in that frame
    else this.panel.redraw();
    for (const listener of this.listeners) listener(what);
  }

  changed({ stages = [], events = [], by }) {
    if (events.length) this.reindex();
    else if (stages.length) this.tell("stages");
    else if (by === "state" && this.canEdit !== this.scene?.editable) this.tell("selection"); // it is seen at its edges
  }

  reindex() {
    this.index = new EventIndex(this.document?.eventList ?? this.numbered);
    if (!this.index.get(this.selected)) this.selected = null;
    this.stripFor = null;
    this.tell("events");
  }

  get canEdit() {
    return Boolean(this.document?.editable);
  }

  /** Whether events can be changed; says why not when they cannot. */
  mayEdit() {
    if (!this.canEdit) this.panel.say(this.document?.whyNot || NOT_SCORING);
    return this.canEdit;
  }

  /** What an event that is drawn on a row is called until somebody says otherwise. */
  nameFor({ trace }) {
    return this.names.get(trace.kind) ?? firstName(trace.kind);
  }

  stageAt(seconds) {
    const epoch = Math.floor(seconds / EPOCH_S) + 1;
    return this.document ? this.document.stage(epoch) : this.night.scorings[0]?.stages[epoch - 1];
  }

  /** Whether an event counts and why: { isCounted, word, why }. */
  judge(event) {
    return counting(event, (seconds) => this.stageAt(seconds), this.index.lights);
  }

  // drawing

  /** Room above the traces for events whose channel is not on the screen; the same on every page. */
  stripHeight() {
    const { settings, height } = this.panel;
    const key = `${settings.montage} ${height}`;
    if (this.stripFor !== key) {
      const traces = this.night ? settings.montageTraces() : [];
      const rowOf = rowFinder(traces.map((trace) => ({ trace })));
      const isNeeded = this.panel.overflows(traces) ? this.index.events.length > 0 : this.index.events.some((event) => !rowOf(event));
      this.stripFor = key;
      this.strip = isNeeded ? STRIP : 0;
    }
    return this.strip;
  }

  drawBelow(context, plot, view, placed) {
    this.boxes = placeEvents(this.index.within(view.start, view.stop), rowFinder(placed), plot, view);
    this.scene = { theme: this.theme, night: this.night, plot, view, selected: this.selected, editable: this.canEdit, judge: (event) => this.judge(event) };
    drawTints(context, this.boxes, this.scene);
  }

  drawAbove(context) {
    const { plot } = this.scene;
    context.save();
    context.beginPath();
    context.rect(plot.left, 0, plot.width, plot.top + plot.height);
    context.clip();
    drawMarks(context, this.boxes, this.scene);
    this.lightBoxes = drawLights(context, this.index.marks, this.scene);
    context.restore();
    if (this.pointer.isDragging) this.pointer.show(); // a page was turned while the button is down
  }

  /** What lies under the pointer, in words; "" for nothing. */
  describe(event) {
    const hit = this.pointer.hit(event.offsetX, event.offsetY);
    if (hit?.part === "point") return "Drag it to another time, to a tenth of a second";
    return hit ? this.words(hit.event) : "";
  }

  words(event) {
    const { name, start, stop, channel, source, extra = {} } = event;
    const lines = [`${name} · ${(stop - start).toFixed(1)} s · ${clockText(this.night.start, start)} to ${clockText(this.night.start, stop)}`];
    lines.push([channel || "no channel", source && `by ${source}`].filter(Boolean).join(" · "));
    for (const [key, value] of Object.entries(extra)) if (value !== "") lines.push(`${key}: ${value}`);
    lines.push(this.judge(event).why);
    const remark = lengthRemark(event);
    if (remark) lines.push(remark);
    return lines.join("\n");
  }

  get plot() {
    return this.panel.drawn ? this.panel.plot : null;
  }

  // edits: each is one step of undo

  make(event) {
    const id = this.document.newId();
    const made = this.signed(event);
    this.selected = id; // before the edit tells the listeners
    if (this.document.apply({ events: [[id, null, made]] }, "event")) this.said(made);
  }

  change({ id }, to) {
    const from = this.document.events.get(id);
    if (!from) return; // somebody else has deleted it meanwhile
    const changed = this.signed(to, from);
    if (from.start === changed.start && from.stop === changed.stop && from.name === changed.name && from.channel === changed.channel) return;
    if (this.document.apply({ events: [[id, from, changed]] }, isLights(to.name) ? "lights" : "event")) this.said(changed);
  }

  delete() {
    const event = this.index.get(this.selected);
    if (!event) return false;
    if (this.mayEdit()) {
      this.document.apply({ events: [[event.id, this.document.events.get(event.id), null]] }, "event");
      this.panel.say(`${event.name} deleted. Ctrl+Z brings it back.`);
    }
    return true;
  }

  /**
   * An event as it is stored: by the one who scores. What an engine measured in the stretch `from` holds while the stretch is the
   * same, what it said about the kind while the kind is; what the samples on the screen say is said anew.
   */
  signed({ start, stop, name, channel, extra = {} }, from = null) {
    const isSameStretch = from !== null && from.start === start && from.stop === stop;
    const { Confidence: _confidence, Type: _type, ...measured } = extra;
    const kept = !isSameStretch ? {} : from.name === name ? extra : measured;
    const now = "Desaturation" in kept ? {} : this.measured({ start, stop, name, channel });
    return { start, stop, name, channel, source: this.document.scorer, extra: { ...kept, ...now } };
  }

  measured(event) {
    if (event.name !== "Desaturation" || !this.plot) return {};
    const row = rowFinder(this.panel.placed)(event);
    if (!row) return {};
    const { high, low, notch } = this.panel.settings.filter(row.trace);
    return desaturationOf(row, event, high !== null || low !== null || notch !== null);
  }

  said(event) {
    const noDepth = event.name === "Desaturation" && !("Desaturation" in event.extra) ? NO_DEPTH : "";
    const remark = [lengthRemark(event), noDepth].filter(Boolean).join(" · ");
    if (remark) this.panel.say(`${event.name}, ${(event.stop - event.start).toFixed(1)} s: ${remark}`);
  }

  // selecting, the menu, the keys

  select(id) {
    if (this.selected === id) return;
    this.selected = id;
    this.tell("selection");
  }

  openMenuAt(event) {
    const hit = this.pointer.hit(event.offsetX, event.offsetY);
    if (!hit && !this.isOn) return;
    event.preventDefault();
    if (!hit || hit.part === "point") return;
    this.select(hit.event.id);
    this.openMenu(event.offsetX);
  }

  openMenu(x) {
    if (!this.mayEdit()) return;
    const { width, height, settings } = this.panel;
    const box = this.boxes.find(({ event }) => event.id === this.selected);
    const { left, top, height: high } = box ?? { left: this.plot.left, top: this.plot.top, height: 0 };
    const labels = settings.montageTraces().map(({ label }) => label);
    this.menu.open(this.index.get(this.selected), this.theme, labels, { left: x ?? left, top, bottom: top + high, width, height });
  }

  chosen({ name, channel, remove }) {
    const event = this.index.get(this.selected);
    if (!event || !this.canEdit) return;
    if (remove) this.delete();
    else {
      const changed = { ...event, name: name ?? event.name, channel: channel ?? event.channel };
      const row = rowFinder(this.panel.placed)(changed);
      if (name && row) this.names.set(row.trace.kind, name); // the next one drawn there is probably such a one too
      this.change(event, changed);
    }
  }

  /** Do what a key asks for, { event: word }; true when there was something to do. */
  keys({ event: word }) {
    const event = this.index.get(this.selected);
    if (word === "escape") return this.escape();
    if (word === "next" || word === "previous") return this.step(word === "next" ? 1 : -1);
    if (word === "tool") return this.toggle();
    if (word === "delete") return this.delete();
    if (word === "menu" && !event) return this.makeByKey();
    if (!event || !this.plot) return false;
    if (word === "menu") {
      this.openMenu();
      return true;
    }
    if (this.mayEdit()) this.change(event, { ...event, ...this.nudged(event, word) });
    return true;
  }

  nudged(event, word) {
    const { duration_s: duration } = this.night;
    if (word === "earlier" || word === "later") return moved(event, word === "later" ? STEP_S : -STEP_S, duration);
    const stop = word === "longer" ? event.stop + STEP_S : Math.max(event.stop - STEP_S, event.start + STEP_S);
    return withEdge(event, "stop", stop, duration);
  }

  toggle() {
    if (!this.isOn && !this.mayEdit()) return true;
    this.isOn = !this.isOn;
    this.panel.canvas.style.cursor = this.isOn ? "crosshair" : "";
    this.panel.say(this.isOn ? "Draw event: drag over a channel to mark an event there. E or Esc ends it." : "Draw event is off");
    return true;
  }

  /** With the tool on and a channel selected, an event in the middle of the screen, to be moved and stretched by keys. */
  makeByKey() {
    const row = this.isOn && this.canEdit && this.plot && this.panel.placed.find(({ trace }) => trace.key === this.panel.settings.selected);
    if (!row) return false;
    const middle = this.pointer.timeAt(this.plot.left + this.plot.width / 2);
    const times = spanning(middle - NEW_BY_KEY_S / 2, middle + NEW_BY_KEY_S / 2, this.night.duration_s);
    this.make({ name: this.nameFor(row), channel: row.trace.label, ...times });
    return true;
  }

  escape() {
    if (this.menu.isOpen) this.menu.close();
    else if (this.pointer.isDragging) this.pointer.cancel();
    else if (this.isOn) this.toggle();
    else if (this.selected !== null) this.select(null);
    else return false;
    return true;
  }

  /** Select the next event (of the table's filter), or the one before, and go there. */
  step(direction) {
    const list = this.listed ?? this.index.events;
    if (!list.length) {
      this.panel.say(this.index.events.length ? "No event passes the table's filter." : "No events on this night.");
      return true;
    }
    const event = this.index.get(this.selected);
    const at = event ? list.findIndex(({ id }) => id === event.id) : -1;
    const from = event?.start ?? (direction > 0 ? (this.plot?.start ?? 0) - STEP_S : (this.plot?.start ?? 0));
    let next = at + direction;
    if (at < 0) next = direction > 0 ? list.findIndex(({ start }) => start > from) : list.findLastIndex(({ start }) => start < from);
    const place = next < 0 || next >= list.length ? (direction > 0 ? 0 : list.length - 1) : next;
    this.goTo(list[place]);
    this.panel.say(`Event ${place + 1} of ${list.length}${this.listed ? " in the table" : ""} · ${list[place].name} · ${(list[place].stop - list[place].start).toFixed(1)} s`);
    return true;
  }

  /** Select an event and bring it on the screen. */
  goTo(event) {
    const { settings } = this.panel;
    const traces = settings.montageTraces();
    const at = traces.findIndex((trace) => trace.label === event.channel || trace.channels.includes(event.channel));
    const first = Math.min(settings.scroll, this.panel.maxScroll());
    if (at >= 0 && (at < first || at >= first + this.panel.rowsThatFit())) {
      settings.scroll = Math.min(Math.max(at - 2, 0), this.panel.maxScroll());
      this.act({ change: "none", refocus: false });
    }
    this.select(event.id);
    this.act({ at: event.start, refocus: false });
  }

  close() {
    this.stop?.();
  }
}
