// Which part of the map the canvas shows: pixel = scale × place + shift. Both axes have one scale, so that distances can be compared
// along any direction.

const MARGIN = 26; // the axes' names stand in it
const DEEPEST = 400;

export class View {
  constructor() {
    this.width = 1;
    this.height = 1;
    this.bounds = { left: 0, low: 0, width: 1, height: 1 };
    this.whole();
  }

  resize(width, height) {
    const centre = [this.dataX(this.width / 2), this.dataY(this.height / 2)];
    const zoom = this.scaleX / this.wholeScale();
    this.width = width;
    this.height = height;
    this.scaleX = zoom * this.wholeScale();
    this.scaleY = -this.scaleX;
    this.shiftX = width / 2 - centre[0] * this.scaleX;
    this.shiftY = height / 2 - centre[1] * this.scaleY;
  }

  fit(bounds) {
    this.bounds = bounds;
    this.whole();
  }

  wholeScale() {
    const { width, height } = this.bounds;
    return Math.min(Math.max(10, this.width - 2 * MARGIN) / width, Math.max(10, this.height - 2 * MARGIN) / height);
  }

  whole() {
    const { left, low, width, height } = this.bounds;
    this.scaleX = this.wholeScale();
    this.scaleY = -this.scaleX;
    this.shiftX = this.width / 2 - (left + width / 2) * this.scaleX;
    this.shiftY = this.height / 2 - (low + height / 2) * this.scaleY;
  }

  pan(dx, dy) {
    this.shiftX += dx;
    this.shiftY += dy;
  }

  /** Zoom by a factor about a pixel, which stays where it is. */
  zoom(factor, pixelX = this.width / 2, pixelY = this.height / 2) {
    const least = this.wholeScale() / 2;
    const scale = Math.max(least, Math.min(least * 2 * DEEPEST, this.scaleX * factor));
    const [x, y] = [this.dataX(pixelX), this.dataY(pixelY)];
    this.scaleX = scale;
    this.scaleY = -scale;
    this.shiftX = pixelX - x * this.scaleX;
    this.shiftY = pixelY - y * this.scaleY;
  }

  pixelX(x) { return x * this.scaleX + this.shiftX; }

  pixelY(y) { return y * this.scaleY + this.shiftY; }

  dataX(pixel) { return (pixel - this.shiftX) / this.scaleX; }

  dataY(pixel) { return (pixel - this.shiftY) / this.scaleY; }

  /** The corners of what is in view. */
  corners() {
    const [left, right] = [this.dataX(0), this.dataX(this.width)];
    const [low, high] = [this.dataY(this.height), this.dataY(0)];
    return [[left, low], [right, low], [right, high], [left, high]];
  }
}
