// The points of a map: where they lie, what is under the pointer, which are inside a line. Rows keep the server's numbers; they
// are drawn in a shuffled order, so that no site lies on top of another only because it was added later.

const PLACED = 0x8000;
const CELLS = 512;

export class Points {
  constructor(buffer) {
    const { header, start } = opened(buffer);
    const { n } = header;
    this.n = n;
    this.studies = header.studies;
    this.x = new Float32Array(buffer, start, n);
    this.y = new Float32Array(buffer, start + 4 * n, n);
    this.window = new Uint16Array(buffer, start + 8 * n, n);
    this.study = new Uint32Array(n);
    let row = 0;
    header.rows.forEach((rows, study) => {
      this.study.fill(study, row, row + rows);
      row += rows;
    });
    this.bounds = bounds(this.x, this.y);
    this.shuffle();
    this.sortIntoCells();
  }

  /** The order of drawing, and the places in that order: drawing then runs straight through memory. */
  shuffle() {
    const { n } = this;
    this.order = Uint32Array.from({ length: n }, (_, row) => row);
    let state = 0x9e3779b9;
    for (let k = n - 1; k > 0; k -= 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const other = Math.floor((state / 4294967296) * (k + 1));
      const kept = this.order[k];
      this.order[k] = this.order[other];
      this.order[other] = kept;
    }
    this.drawnX = new Float32Array(n);
    this.drawnY = new Float32Array(n);
    this.drawnStudy = new Uint32Array(n);
    for (let k = 0; k < n; k += 1) {
      const row = this.order[k];
      this.drawnX[k] = this.x[row];
      this.drawnY[k] = this.y[row];
      this.drawnStudy[k] = this.study[row];
    }
  }

  sortIntoCells() {
    const { n, x, y, bounds: { left, low, width, height } } = this;
    const cell = new Uint32Array(n);
    this.cellStart = new Uint32Array(CELLS * CELLS + 1);
    for (let row = 0; row < n; row += 1) {
      const column = Math.min(CELLS - 1, Math.floor(((x[row] - left) / width) * CELLS));
      const line = Math.min(CELLS - 1, Math.floor(((y[row] - low) / height) * CELLS));
      cell[row] = line * CELLS + column;
      this.cellStart[cell[row] + 1] += 1;
    }
    for (let k = 0; k < CELLS * CELLS; k += 1) this.cellStart[k + 1] += this.cellStart[k];
    const next = this.cellStart.slice();
    this.byCell = new Uint32Array(n);
    for (let row = 0; row < n; row += 1) this.byCell[next[cell[row]]++] = row;
  }

  /** The nearest row within a distance of a place (both in pixels of `view`), or -1. */
  nearest(view, pixelX, pixelY, reach) {
    const { left, low, width, height } = this.bounds;
    const clamp = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(value * CELLS)));
    const x0 = clamp((view.dataX(pixelX - reach) - left) / width);
    const x1 = clamp((view.dataX(pixelX + reach) - left) / width);
    const y0 = clamp((view.dataY(pixelY + reach) - low) / height);
    const y1 = clamp((view.dataY(pixelY - reach) - low) / height);
    let best = -1;
    let least = reach * reach;
    for (let line = y0; line <= y1; line += 1) {
      const stop = this.cellStart[line * CELLS + x1 + 1];
      for (let k = this.cellStart[line * CELLS + x0]; k < stop; k += 1) {
        const row = this.byCell[k];
        const dx = view.pixelX(this.x[row]) - pixelX;
        const dy = view.pixelY(this.y[row]) - pixelY;
        const distance = dx * dx + dy * dy;
        if (distance <= least) {
          least = distance;
          best = row;
        }
      }
    }
    return best;
  }

  placed(row) {
    return (this.window[row] & PLACED) !== 0;
  }

  windowNumber(row) {
    return this.window[row] & (PLACED - 1);
  }

  /** 1 for every row inside a closed line of [x, y] corners, by the even-odd rule; as `sleepfm/analysis/lasso.py` does it. */
  inside(polygon) {
    const { n, x, y } = this;
    const mask = new Uint8Array(n);
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [cornerX, cornerY] of polygon) {
      left = Math.min(left, cornerX);
      right = Math.max(right, cornerX);
      low = Math.min(low, cornerY);
      high = Math.max(high, cornerY);
    }
    const strips = 256;
    const perUnit = strips / (high - low || 1);
    const stripOf = (value) => Math.max(0, Math.min(strips - 1, Math.floor((value - low) * perUnit)));
    const edges = Array.from({ length: strips }, () => []);
    polygon.forEach(([x0, y0], k) => {
      const [x1, y1] = polygon[(k + 1) % polygon.length];
      if (y0 === y1) return;
      const edge = { x0, y0, slope: (x1 - x0) / (y1 - y0), low: Math.min(y0, y1), high: Math.max(y0, y1) };
      for (let strip = stripOf(edge.low); strip <= stripOf(edge.high); strip += 1) edges[strip].push(edge);
    });
    for (let row = 0; row < n; row += 1) {
      const px = x[row];
      const py = y[row];
      if (px < left || px > right || py < low || py > high) continue;
      let odd = 0;
      for (const edge of edges[stripOf(py)]) {
        if (edge.low <= py && py < edge.high && px < edge.x0 + (py - edge.y0) * edge.slope) odd ^= 1;
      }
      mask[row] = odd;
    }
    return mask;
  }
}

/** The values of one column, by row. */
export class Column {
  constructor(buffer, points) {
    const { header, start } = opened(buffer);
    Object.assign(this, header);
    this.points = points;
    this.isGroups = Boolean(header.labels);
    const count = header.perStudy ? points.studies.length : points.n;
    this.values = new (this.isGroups ? Int32Array : Float32Array)(buffer, start, count);
  }

  of(row) {
    return this.values[this.perStudy ? this.points.study[row] : row];
  }

  /** What a point's value is called. */
  words(row) {
    const value = this.of(row);
    if (this.isGroups) return value < 0 ? "not known" : this.labels[value];
    return Number.isNaN(value) ? "not known" : `${shortNumber(value)} ${this.unit}`;
  }

  /** The code of a group by its name, NaN when the legend has none of it; entries carry it as the server wrote it. */
  codeOf(label) {
    const entry = this.entries.findIndex(({ labels }) => labels?.includes(label));
    return entry < 0 ? Number.NaN : this.entryOfLabel.indexOf(entry);
  }

  /** The number of the legend's entry of a value of a column of groups. */
  entryOf(value) {
    return value < 0 ? this.entries.length - 1 : this.entryOfLabel[value];
  }

  /** Colours as the pixels of a canvas want them, one for each value (of a study or of a row). */
  pixelColours() {
    const { values } = this;
    const colours = new Uint32Array(values.length);
    if (this.isGroups) {
      const ofEntry = this.entries.map(({ colour }) => pixel(colour));
      for (let k = 0; k < values.length; k += 1) colours[k] = ofEntry[this.entryOf(values[k])];
    } else {
      const ramp = rampPixels(this.ramp, 256);
      const unknown = pixel(this.unknown);
      const perUnit = 255 / (this.high - this.low || 1);
      for (let k = 0; k < values.length; k += 1) {
        const value = values[k];
        colours[k] = Number.isNaN(value) ? unknown : ramp[Math.max(0, Math.min(255, Math.round((value - this.low) * perUnit)))];
      }
    }
    return colours;
  }

  /** 1 for every row whose value passes. */
  matching(passes) {
    const { points, values, perStudy } = this;
    const mask = new Uint8Array(points.n);
    if (perStudy) {
      const ofStudy = Uint8Array.from(values, (value) => (passes(value) ? 1 : 0));
      for (let row = 0; row < mask.length; row += 1) mask[row] = ofStudy[points.study[row]];
    } else {
      for (let row = 0; row < mask.length; row += 1) mask[row] = passes(values[row]) ? 1 : 0;
    }
    return mask;
  }
}

/** A number in few signs: what a person would write. */
export function shortNumber(value) {
  return Math.abs(value) >= 10_000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

export function pixel(colour) {
  const [red, green, blue] = [1, 3, 5].map((place) => Number.parseInt(colour.slice(place, place + 2), 16));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Pixels along a ramp of colours. */
export function rampPixels(colours, count) {
  const channels = colours.map((colour) => [1, 3, 5].map((place) => Number.parseInt(colour.slice(place, place + 2), 16)));
  return Uint32Array.from({ length: count }, (_, k) => {
    const at = (k / (count - 1)) * (colours.length - 1);
    const first = Math.min(colours.length - 2, Math.floor(at));
    const mixed = channels[first].map((value, channel) => value + (at - first) * (channels[first + 1][channel] - value));
    const [red, green, blue] = mixed.map(Math.round);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

function opened(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  return { header: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))), start: 4 + length };
}

function bounds(x, y) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let row = 0; row < x.length; row += 1) {
    left = Math.min(left, x[row]);
    right = Math.max(right, x[row]);
    low = Math.min(low, y[row]);
    high = Math.max(high, y[row]);
  }
  return { left, low, width: right - left || 1, height: high - low || 1 };
}
