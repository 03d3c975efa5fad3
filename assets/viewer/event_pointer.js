// The pointer on the traces: a drag makes, moves or stretches an event, a click selects one. A drag outlasts a turned page.

import { clockText } from "./clock.js";
import { element } from "./dom.js";
import { colourOf, isLights, lengthRemark } from "./event_kinds.js";
import { moved, point, spanning, withEdge } from "./event_times.js";
import { GUTTER } from "./layout.js";

const EDGE = 5; // pixels within which an edge is taken hold of
const LEAST_PIXELS = 4; // a shorter drag is a click with an unsteady hand

export class EventPointer {
  /** `layer` is the EventLayer whose events are dragged. */
  constructor(layer) {
    this.layer = layer;
    this.panel = layer.panel;
    this.press = null; // { x, last, from, part, event | row, began } while the button is down
    this.text = element("span");
    this.text.setAttribute("role", "status");
    this.root = element("div", { className: "event-drag" }, [this.text]);
    this.root.hidden = true;
    const { canvas } = this.panel;
    this.panel.root.append(this.root);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.up());
    canvas.addEventListener("pointercancel", () => this.cancel());
  }

  get isDragging() {
    return Boolean(this.press?.began);
  }

  timeAt(x) {
    const { start, left, perSecond } = this.panel.plot;
    return start + (x - left) / perSecond;
  }

  /** The event under a place and which part of it: "start", "stop", "middle", or "point" for a mark of the lights. */
  hit(x, y) {
    const { layer } = this;
    if (!layer.plot || x < GUTTER) return null;
    const isUnder = ({ left, right, top, height }) => x >= left - EDGE && x <= right + EDGE && y >= top && y < top + height;
    const mark = layer.lightBoxes.find(isUnder);
    if (mark) return { event: mark.event, part: "point" };
    const under = layer.boxes.filter(isUnder);
    // the selected one first, then the one that lies closest about the pointer
    under.sort((a, b) => (b.event.id === layer.selected) - (a.event.id === layer.selected) || outside(a, x) - outside(b, x) || a.right - a.left - (b.right - b.left));
    const [box] = under;
    if (!box) return null;
    const { event, left, right } = box;
    const reach = Math.min(EDGE, Math.max(1, (right - left) / 4));
    const { view } = layer.scene;
    const part = x < left + reach && event.start >= view.start ? "start" : x > right - reach && event.stop <= view.stop ? "stop" : "middle";
    return { event, part };
  }

  down(event) {
    const { layer, panel } = this;
    layer.menu.close();
    const { offsetX: x, offsetY: y } = event;
    if (event.button !== 0 || event.shiftKey || panel.caliper.isOn || !layer.plot || x < GUTTER) return;
    const hit = event.altKey ? null : this.hit(x, y);
    const row = panel.rowAt(y);
    this.press = { x, last: x, from: this.timeAt(x), ...(hit ?? { part: (layer.isOn || event.altKey) && row ? "new" : "none", row }) };
    panel.canvas.setPointerCapture(event.pointerId);
    if (hit && hit.part !== "point") layer.select(hit.event.id);
  }

  move(event) {
    const { press, layer } = this;
    if (!press) {
      this.shape(event);
      return;
    }
    press.last = event.offsetX;
    if (!press.began) {
      if (Math.abs(event.offsetX - press.x) < LEAST_PIXELS || press.part === "none" || press.isRefused) return;
      press.isRefused = !layer.mayEdit();
      press.began = !press.isRefused;
    }
    this.show();
  }

  /** The pointer's shape says what a drag would do. */
  shape(event) {
    const hit = this.hit(event.offsetX, event.offsetY);
    const { style } = this.panel.canvas;
    const over = !hit ? "" : !this.layer.canEdit ? "pointer" : hit.part === "middle" ? "move" : "ew-resize";
    const cursor = over || (this.layer.isOn && event.offsetX >= GUTTER ? "crosshair" : "");
    if (style.cursor !== cursor) style.cursor = cursor;
  }

  up() {
    const { press, layer } = this;
    if (!press) return;
    const event = press.began ? this.dragged() : null;
    this.cancel();
    if (event && press.part === "new") layer.make(event);
    else if (event) layer.change(press.event, event);
    else if (press.part === "none" || press.part === "new") layer.select(null);
  }

  cancel() {
    this.press = null;
    this.root.hidden = true;
  }

  /** The event as it would be were the button let go now. */
  dragged() {
    const { part, row, event, from, last } = this.press;
    const now = this.timeAt(last);
    const { duration_s: duration } = this.layer.night;
    if (part === "new") return { name: this.layer.nameFor(row), channel: row.trace.label, ...spanning(from, now, duration) };
    if (part === "point") return { ...event, ...point(event.start + now - from, duration) };
    return { ...event, ...(part === "middle" ? moved(event, now - from, duration) : withEdge(event, part, now, duration)) };
  }

  /** Show over the traces what is being dragged. */
  show() {
    const { press, layer } = this;
    const { plot } = layer;
    if (!plot || !press.began) return;
    const event = this.dragged();
    const at = (seconds) => Math.min(Math.max(plot.left + (seconds - plot.start) * plot.perSecond, plot.left), plot.left + plot.width);
    const [left, right] = [at(event.start), at(event.stop)];
    const [top, height] = this.place();
    const colour = colourOf(layer.theme, event.name);
    Object.assign(this.root.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${height}px`, borderColor: colour });
    this.root.hidden = false;
    const remark = lengthRemark(event);
    const words = [event.name, clockText(layer.night.start, event.start)];
    if (!isLights(event.name)) words.push(`${(event.stop - event.start).toFixed(1)} s`, ...(remark ? [remark] : []));
    this.text.textContent = words.join(" · ");
    const { offsetWidth: width, offsetHeight: high } = this.text;
    this.text.style.left = `${Math.min(0, plot.left + plot.width - left - width)}px`;
    this.text.style.top = top - high - 3 >= 0 ? `${-high - 3}px` : `${Math.min(height, plot.top + plot.height - high - top) + 3}px`;
  }

  /** Top and height of what is being dragged. */
  place() {
    const { press, layer, panel } = this;
    const row = press.row && panel.placed.find(({ trace }) => trace.key === press.row.trace.key);
    if (row) return [row.middle - row.pitch / 2, row.pitch];
    const box = press.event && layer.boxes.find(({ event }) => event.id === press.event.id);
    return box ? [box.top, box.height] : [layer.plot.top, layer.plot.height];
  }
}

function outside({ left, right }, x) {
  return Math.max(left - x, x - right, 0);
}
