// A report in a frame of its own: no scripts, no forms, no origin. What it says reaches the screen and nothing else.

import { element, fetchChecked } from "../viewer/dom.js";
import { mounting } from "../viewer/mounting.js";

export const mount = mounting((parent) => new Preview(parent));

class Preview {
  constructor(parent) {
    this.visit = 0;
    this.said = element("p");
    this.root = element("div", { data: { sleepfm: "report" } }, [this.said]);
    parent.append(this.root);
  }

  close() {
    this.fetching?.abort();
    this.root.remove();
  }

  /** Show the report of another study, or the one that was made anew; returns the number of this visit. */
  update({ data }) {
    this.visit += 1;
    const wanted = `${data.address} ${data.stamp}`;
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.load(data, wanted);
    }
    return this.visit;
  }

  async load({ address, title }, wanted) {
    this.fetching?.abort();
    this.fetching = new AbortController();
    this.say("The report is being fetched …");
    try {
      const answer = await fetchChecked(address, this.fetching.signal);
      const text = await answer.text();
      if (wanted !== this.wanted) return;
      this.show(text, title);
      this.root.dataset.shown = wanted;
    } catch (error) {
      if (error.name !== "AbortError" && wanted === this.wanted) this.fail(error);
    }
  }

  /** Put the report into a frame of its own: one that was hidden stays blank in Chromium when its document is replaced. */
  show(text, title) {
    this.said.hidden = true;
    this.frame = element("iframe", { title });
    this.frame.setAttribute("sandbox", "");
    this.frame.setAttribute("referrerpolicy", "no-referrer");
    this.frame.tabIndex = 0;
    this.frame.srcdoc = text;
    this.root.append(this.frame);
  }

  say(text) {
    this.said.setAttribute("role", "status");
    this.said.textContent = text;
    this.said.hidden = false;
    this.frame?.remove();
    delete this.root.dataset.shown;
  }

  fail(error) {
    this.wanted = undefined; // the next look tries again
    this.say(`The report cannot be shown. ${error.message}`);
    this.said.setAttribute("role", "alert");
  }
}
