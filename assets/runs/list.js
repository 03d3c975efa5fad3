// The queue and history as a plain table. Titles and messages are hostile text: they go in as textContent, never as HTML.

import { element } from "../viewer/dom.js";
import { mounting } from "../viewer/mounting.js";

export const mount = mounting((parent) => new List(parent));

class List {
  constructor(parent) {
    this.visit = 0;
    const titles = ["", "Run", "State", "Kind", "Queued", "Took", "Where", ""];
    const head = element("thead", {}, [element("tr", {}, titles.map((text) => element("th", { text })))]);
    this.body = element("tbody");
    this.root = element("div", { data: { sleepfm: "runs" } }, [element("table", {}, [head, this.body])]);
    parent.append(this.root);
  }

  close() {
    this.root.remove();
  }

  /** Take over new rows from Python; returns the number of this visit. */
  update({ data, setTriggerValue }) {
    this.visit += 1;
    this.send = (action, run) => setTriggerValue("action", { action, run, nonce: Date.now() });
    const focused = this.root.querySelector(":focus")?.getAttribute("aria-label");
    const there = new Map([...this.body.rows].map((line) => [line.dataset.run, line]));
    const lines = data.rows.map((row) => this.brought(there.get(row.id), this.line(row, data)));
    if (lines.length !== this.body.rows.length || lines.some((line, k) => line !== this.body.rows[k])) this.body.replaceChildren(...lines);
    if (focused && !this.root.querySelector(":focus")) this.root.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    return this.visit;
  }

  /** Return the line that stands, with what has changed in it: a refresh must not take a button away between press and release. */
  brought(line, fresh) {
    if (!line) return fresh;
    line.className = fresh.className;
    line.dataset.state = fresh.dataset.state;
    [...fresh.cells].forEach((cell, k) => {
      if (!line.cells[k].isEqualNode(cell)) line.cells[k].replaceWith(cell);
    });
    return line;
  }

  line(row, data) {
    return element("tr", { className: row.archived ? "archived" : "", data: { run: row.id, state: row.state } }, [
      element("td", { className: "choose" }, row.training ? [this.box(row, data)] : []),
      this.name(row), this.state(row),
      element("td", { text: row.kind }),
      element("td", { className: "number" }, [row.queued, element("div", { className: "muted", text: row.by })]),
      element("td", { className: "number", text: row.took }),
      element("td", { text: row.where }),
      this.actions(row),
    ]);
  }

  box(row, data) {
    const box = element("input", { title: "Compare", on: { change: () => this.send(box.checked ? "choose" : "leave", row.id) } });
    box.type = "checkbox";
    box.toggleAttribute("checked", data.chosen.includes(row.id)); // as an attribute, by which cells are compared
    box.setAttribute("aria-label", `Compare ${row.title} ${row.id}`);
    return box;
  }

  name(row) {
    const link = element("a", {
      text: row.title,
      title: row.id,
      on: {
        click: (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as everywhere on the web
          event.preventDefault();
          this.send("open", row.id);
        },
      },
    });
    link.href = row.href;
    link.setAttribute("aria-label", `Open ${row.title} ${row.id}`);
    const under = [row.figures, row.note].filter(Boolean).join(" · ");
    return element("td", { className: "name" }, [link, element("div", { className: "muted", text: under })]);
  }

  state(row) {
    const cell = element("td", { className: "state" }, [element("span", { className: `badge ${row.tone}`, text: row.state })]);
    if (row.state === "running") {
      const bar = element("progress");
      bar.max = 1;
      bar.value = row.progress;
      bar.setAttribute("aria-label", `Progress of ${row.title}`);
      cell.append(bar);
    }
    if (row.words) cell.append(element("div", { className: row.tone === "bad" ? "reason" : "muted", text: row.words, title: row.words }));
    return cell;
  }

  actions(row) {
    if (!row.canStop) return element("td");
    const stop = element("button", { text: row.state === "queued" ? "Take out" : "Stop", on: { click: () => this.send("stop", row.id) } });
    stop.type = "button";
    stop.setAttribute("aria-label", `Stop ${row.title} ${row.id}`);
    return element("td", { className: "actions" }, [stop]);
  }
}
