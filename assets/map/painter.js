// Draws the points: a few as discs, many straight into the pixels. Placed points are rings where there is room to see it.

import { pixel } from "./points.js";

const DISCS_UP_TO = 6000;
const FADED = 0.2; // of its own colour, what is not selected
const BACKGROUND = 255;
const WHITE = pixel("#ffffff");

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.image = null;
    this.sprites = new Map();
  }

  resize(width, height, ratio) {
    const [columns, rows] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    this.ratio = ratio;
    if (this.canvas.width === columns && this.canvas.height === rows) return;
    this.canvas.width = columns;
    this.canvas.height = rows;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.image = this.context.createImageData(columns, rows);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.sprites.clear();
  }

  /** The colour of every point in the order of drawing; what is not selected fades. */
  colour(points, column, selected) {
    const { n, order, drawnStudy } = points;
    const value = column.perStudy ? drawnStudy : order;
    const bright = column.pixelColours();
    if (this.colours?.length !== n) this.colours = new Uint32Array(n);
    const { colours } = this;
    this.top = null;
    if (!selected) {
      for (let k = 0; k < n; k += 1) colours[k] = bright[value[k]];
      return;
    }
    const faded = bright.map(fade);
    const top = new Uint32Array(n);
    let count = 0;
    for (let k = 0; k < n; k += 1) {
      if (selected[order[k]]) {
        colours[k] = bright[value[k]];
        top[count] = k;
        count += 1;
      } else colours[k] = faded[value[k]];
    }
    this.top = top.subarray(0, count);
  }

  /** Draw what `view` shows; returns how many points that are. */
  draw(points, view) {
    const shown = this.paint(points, view, this.lastShown ?? points.n);
    // a zoom changes how many there are, and with it how large they may be
    const again = sizeFor(shown, this.ratio) !== sizeFor(this.lastShown ?? points.n, this.ratio);
    this.lastShown = shown;
    return again ? this.paint(points, view, shown) : shown;
  }

  paint(points, view, expected) {
    const size = sizeFor(expected, this.ratio);
    return size === 0 ? this.discs(points, view, expected) : this.squares(points, view, size);
  }

  squares(points, view, size) {
    const { pixels, ratio, colours } = this;
    const { width, height } = this.canvas;
    pixels.fill(WHITE);
    const [scaleX, scaleY] = [view.scaleX * ratio, view.scaleY * ratio];
    const [shiftX, shiftY] = [view.shiftX * ratio, view.shiftY * ratio];
    const before = size >> 1;
    const { drawnX, drawnY } = points;
    let shown = 0;
    const put = (k) => {
      const left = Math.round(drawnX[k] * scaleX + shiftX) - before;
      const top = Math.round(drawnY[k] * scaleY + shiftY) - before;
      if (left < 0 || top < 0 || left + size > width || top + size > height) return 0;
      const colour = colours[k];
      let at = top * width + left;
      for (let line = 0; line < size; line += 1, at += width) {
        for (let place = 0; place < size; place += 1) pixels[at + place] = colour;
      }
      return 1;
    };
    for (let k = 0; k < points.n; k += 1) shown += put(k);
    if (this.top) for (const k of this.top) put(k);
    this.context.putImageData(this.image, 0, 0);
    return shown;
  }

  discs(points, view, expected) {
    const { context, ratio } = this;
    const { width, height } = this.canvas;
    const radius = (expected < 700 ? 5 : expected < 2500 ? 4 : 3) * ratio;
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
    let shown = 0;
    const put = (k) => {
      const x = (points.drawnX[k] * view.scaleX + view.shiftX) * ratio;
      const y = (points.drawnY[k] * view.scaleY + view.shiftY) * ratio;
      if (x < -radius || y < -radius || x > width + radius || y > height + radius) return 0;
      const sprite = this.sprite(this.colours[k], radius, points.placed(points.order[k]));
      context.drawImage(sprite, Math.round(x - sprite.width / 2), Math.round(y - sprite.height / 2));
      return 1;
    };
    for (let k = 0; k < points.n; k += 1) shown += put(k);
    if (this.top) for (const k of this.top) put(k);
    return shown;
  }

  sprite(colour, radius, hollow) {
    const key = `${colour} ${radius} ${hollow}`;
    let sprite = this.sprites.get(key);
    if (!sprite) {
      if (this.sprites.size > 2000) this.sprites.clear();
      sprite = document.createElement("canvas");
      sprite.width = sprite.height = 2 * Math.ceil(radius) + 4;
      const context = sprite.getContext("2d");
      const css = `rgb(${colour & 255}, ${(colour >>> 8) & 255}, ${(colour >>> 16) & 255})`;
      const line = hollow ? radius * 0.45 : Math.max(0.6, radius * 0.16);
      context.beginPath();
      context.arc(sprite.width / 2, sprite.height / 2, hollow ? radius - line / 2 : radius, 0, 2 * Math.PI);
      context.fillStyle = hollow ? "#ffffff" : css;
      context.fill();
      context.lineWidth = line;
      context.strokeStyle = hollow ? css : "rgba(255, 255, 255, 0.9)";
      context.stroke();
      this.sprites.set(key, sprite);
    }
    return sprite;
  }
}

/** Side of a point's square in the canvas's pixels; 0 stands for discs. */
function sizeFor(shown, ratio) {
  if (shown <= DISCS_UP_TO) return 0;
  return Math.round((shown > 250_000 ? 1 : shown > 60_000 ? 2 : 3) * ratio);
}

function fade(colour) {
  const channel = (shift) => Math.round(BACKGROUND + FADED * (((colour >>> shift) & 255) - BACKGROUND)) << shift;
  return ((255 << 24) | channel(16) | channel(8) | channel(0)) >>> 0;
}
