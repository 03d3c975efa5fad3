// The first look around: a few lines at the foot of the viewer, each about one part of it. The keys stay the viewer's all the while.

import { element } from "./dom.js";

const STORAGE_KEY = "sleepfm.viewer.tour";
const STEPS = [
  { at: ".overview", text: "The whole night: click in the hypnogram to go there. Arrow keys turn pages; N goes to the next epoch worth a look." },
  { at: ".scoring-bar", text: "“Score” above begins your own scoring from the one that is shown. W 1 2 3 R score an epoch and go on; the AASM's 0–4 can be chosen under ⋯." },
  { at: ".plot.hypnogram", text: "Drag in the hypnogram, or Shift with the arrow keys, to select epochs; one stage key then scores them all. Ctrl Z takes anything back." },
  { at: ".panel", text: "E, then drag on a trace, marks an event; V lists them all. L and Shift L set lights off and on." },
  { at: ".toolbar", text: "Every edit is stored as you make it. Finish (above) has the numbers, the report and your signature. ? lists every key." },
];

export class Tour {
  constructor(viewerRoot) {
    this.viewerRoot = viewerRoot;
    this.words = element("span", { className: "words" });
    this.words.setAttribute("role", "status");
    this.next = element("button", { on: { click: () => this.show(this.at + 1) } });
    const end = element("button", { text: "No tour", title: "? can show it again", on: { click: () => this.end() } });
    this.root = element("div", { className: "tour", data: { sleepfm: "tour" } }, [this.words, this.next, end]);
    this.root.hidden = true;
  }

  /** Show it to somebody who has not seen it on this browser. */
  offer() {
    if (this.root.hidden && !this.isSeen && !readSeen()) this.show(0);
  }

  start() {
    this.show(0);
  }

  show(at) {
    this.point(null);
    if (at >= STEPS.length) {
      this.end();
      return;
    }
    this.at = at;
    this.root.hidden = false;
    this.words.replaceChildren(element("b", { text: `${at + 1} / ${STEPS.length}` }), ` ${STEPS[at].text}`);
    this.next.textContent = at === STEPS.length - 1 ? "Done" : "Next";
    this.point(STEPS[at].at);
  }

  /** Outline the part that is spoken of. */
  point(selector) {
    for (const node of this.viewerRoot.querySelectorAll(".pointed")) node.classList.remove("pointed");
    if (selector) this.viewerRoot.querySelector(selector)?.classList.add("pointed");
  }

  end() {
    this.point(null);
    this.root.hidden = true;
    this.isSeen = true;
    try {
      localStorage.setItem(STORAGE_KEY, "seen");
    } catch {
      // a browser that keeps nothing: not again on this page
    }
  }
}

function readSeen() {
  try {
    return localStorage.getItem(STORAGE_KEY) === "seen";
  } catch {
    return false;
  }
}
