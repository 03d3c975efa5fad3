// The lower hypnogram, when it is a person's scoring: it follows while somebody goes on with it.

import { sendJson } from "./dom.js";

const POLL_MS = 10_000;

export class FollowedScoring {
  /** `changed(stages)` hears of the stages whenever they are others than before. */
  constructor(changed) {
    this.changed = changed;
    this.onAwake = () => this.poll();
    document.addEventListener("visibilitychange", this.onAwake);
  }

  /** `review` is { scoring, version, stages }, null when there is nothing to follow; `route` the address of the review routes. */
  open(review, { study, route }) {
    clearInterval(this.timer);
    this.review = review;
    this.address = (version) => `${route}/changes?${new URLSearchParams({ study, scoring: review.scoring, since: version })}`;
    if (review) this.timer = setInterval(() => this.poll(), POLL_MS);
  }

  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.onAwake);
    this.review = null;
  }

  async poll() {
    const { review } = this;
    if (!review || this.isAsking || document.visibilityState !== "visible") return;
    this.isAsking = true;
    try {
      const { status, answer } = await sendJson(this.address(review.version));
      if (status === 200 && this.review === review && answer.version > review.version) this.take(answer);
    } catch {
      // the app is away: what is shown stays, and whoever scores is told of it above
    } finally {
      this.isAsking = false;
    }
  }

  take({ version, changes }) {
    const stages = Int8Array.from(this.review.stages);
    for (const change of changes) for (const [epoch, to] of change.stages) stages[epoch - 1] = to;
    const isOther = stages.some((stage, at) => stage !== this.review.stages[at]);
    this.review = { ...this.review, version, stages };
    if (isOther) this.changed(stages);
  }
}
