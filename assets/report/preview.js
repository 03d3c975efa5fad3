// A report in a frame of its own: no scripts, no forms, no origin. What it says reaches the screen and nothing else.

import { element, fetchChecked } from "../viewer/dom.js";
import { mounting } from "../viewer/mounting.js";

export const mount = mounting((parent) => new Preview(parent));

class Preview {
  constructor(parent) {
    this.visit = 0;
    this.said = element("p");
    this.frame = element("iframe");
    this.frame.setAttribute("sandbox", "");
    this.frame.setAttribute("referrerpolicy", "no-referrer");
    this.frame.tabIndex = 0;
    this.frame.hidden = true;
    this.root = element("div", { data: { sleepfm: "report" } }, [this.said, this.frame]);
    parent.append(this.root);
  }

  close() {
    this.fetching?.abort();
    this.root.remove();
  }

  /** Show the report of another study, or the one that was made anew; returns the number of this visit. */
  update({ data }) {
    this.visit += 1;
    this.frame.title = data.title;
    this.frame.style.height = `${data.height}px`;
    const wanted = `${data.address} ${data.stamp}`;
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.load(data.address, wanted);
    }
    return this.visit;
  }

  async load(address, wanted) {
    this.fetching?.abort();
    this.fetching = new AbortController();
    this.say("The report is being fetched …");
    try {
      const answer = await fetchChecked(address, this.fetching.signal);
      const text = await answer.text();
      if (wanted !== this.wanted) return;
      this.frame.srcdoc = text;
      this.frame.hidden = false;
      this.said.hidden = true;
      this.root.dataset.shown = wanted;
    } catch (error) {
      if (error.name !== "AbortError" && wanted === this.wanted) this.fail(error);
    }
  }

  say(text) {
    this.said.setAttribute("role", "status");
    this.said.textContent = text;
    this.said.hidden = false;
    this.frame.hidden = true;
    delete this.root.dataset.shown;
  }

  fail(error) {
    this.wanted = undefined; // the next look tries again
    this.say(`The report cannot be shown. ${error.message}`);
    this.said.setAttribute("role", "alert");
  }
}
