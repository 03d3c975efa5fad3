// The stored multitaper spectrogram as an image, one column an epoch.

import { fetchChecked } from "./dom.js";

// Viridis (van der Walt and Smith, CC0) at nine points: even lightness steps, readable with any colour vision.
const RAMP = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [253, 231, 37]];
const MISSING = 0; // codes 1 to 255 run from the lowest to the highest power shown

export class SpectrogramImage {
  static async load(url) {
    try {
      const buffer = await (await fetchChecked(url)).arrayBuffer();
      return new SpectrogramImage(url, buffer);
    } catch (error) {
      return { url, error: error.message, describe: () => error.message, highHz: 30 };
    }
  }

  constructor(url, buffer) {
    this.url = url;
    const length = new DataView(buffer).getUint32(0, true);
    Object.assign(this, JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))));
    this.codes = new Uint8Array(buffer, 4 + length);
    this.highHz = this.frequencies.at(-1);
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.epochs;
    this.canvas.height = this.frequencies.length;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.epochs, this.frequencies.length);
    const ramp = Array.from({ length: 256 }, (_, code) => colour(code));
    for (let epoch = 0; epoch < this.epochs; epoch += 1) {
      for (let line = 0; line < this.frequencies.length; line += 1) {
        const code = this.codes[epoch * this.frequencies.length + line];
        const at = ((this.frequencies.length - 1 - line) * this.epochs + epoch) * 4;
        image.data.set(ramp[code], at);
      }
    }
    context.putImageData(image, 0, 0);
  }

  describe(epoch, event) {
    const { top, height } = event.currentTarget.getBoundingClientRect();
    const up = 1 - (event.clientY - top) / height;
    const line = Math.min(this.frequencies.length - 1, Math.max(0, Math.floor(up * this.frequencies.length)));
    const code = this.codes[(epoch - 1) * this.frequencies.length + line];
    if (!code) return "no signal";
    const power = this.low_db + ((code - 1) / 254) * (this.high_db - this.low_db);
    const edge = code === 1 ? "≤ " : code === 255 ? "≥ " : "";
    return `${this.frequencies[line].toFixed(1)} Hz: ${edge}${power.toFixed(0)} dB re 1 ${this.unit}²/Hz`;
  }
}

function colour(code) {
  if (code === MISSING) return [236, 238, 241, 255];
  const at = ((code - 1) / 254) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(at));
  return [0, 1, 2].map((band) => Math.round(RAMP[low][band] + (at - low) * (RAMP[low + 1][band] - RAMP[low][band]))).concat(255);
}
