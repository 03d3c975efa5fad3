// Which epoch is on the screen and which are still to come.
//
// Every epoch on the way is drawn: a frame takes one step from the queue, and a step whose window has not arrived waits for it.

const MAX_HELD_STEPS = 12;

export class Navigation {
  constructor(show, asked) {
    this.show = show;
    this.onAsked = asked;
    this.reset();
  }

  reset() {
    this.epochs = 0;
    this.epoch = 0; // drawn last
    this.target = 0; // where the queue leads
    this.queue = [];
    this.direction = 1;
    this.isHeld = false;
  }

  open(epochs, epoch) {
    this.epochs = epochs;
    this.queue = [];
    this.epoch = 0;
    this.target = 0;
    this.jump(epoch);
  }

  /** Go `count` epochs on (negative: back). `held`: the key repeats. */
  step(count, held = false) {
    this.isHeld = held;
    // Keys repeat on their own clock. Should drawing be slower, a short queue keeps the pages from running on after the
    // key is let go; a key pressed on its own always counts.
    if (held && this.queue.length >= MAX_HELD_STEPS) return;
    this.enqueue(this.target + count, Math.sign(count));
  }

  jump(epoch) {
    this.isHeld = false;
    this.queue = [];
    this.enqueue(epoch, epoch < this.target ? -1 : 1);
  }

  enqueue(epoch, direction) {
    const next = Math.min(Math.max(Math.round(epoch), 1), this.epochs);
    if (next === this.target && this.target === this.epoch && !this.queue.length) return;
    this.direction = direction;
    this.target = next;
    this.queue.push(next);
    this.onAsked(next);
    this.wake();
  }

  /** Draw the current epoch anew (settings or size changed). */
  redraw() {
    if (!this.target) return;
    if (!this.queue.length) this.queue.push(this.target);
    this.wake();
  }

  stop() {
    this.queue = [];
  }

  wake() {
    if (this.frame || !this.queue.length) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.queue.length) return;
      const next = this.queue[0];
      if (!this.show(next)) return; // woken again when the window is there
      this.queue.shift();
      this.epoch = next;
      this.wake();
    });
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.queue = [];
  }
}
