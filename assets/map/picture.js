// The map as a picture to keep: the points as they stand on the screen, the axes' names, and what the colours mean.

import { element } from "../viewer/dom.js";
import { shortNumber } from "./points.js";

const LEGEND = 230;
const EDGE = 34;
const LINE = 20;
const FONT = "13px sans-serif";
const INK = "#1f2933";

/** Return a canvas of the map beside its legend; `note` stands below (what made it, research use). */
export function picture(points, axes, column, title, note) {
  const ratio = points.width / points.clientWidth;
  const width = points.clientWidth;
  const height = points.clientHeight;
  const canvas = element("canvas");
  canvas.width = Math.round((width + LEGEND + EDGE) * ratio);
  canvas.height = Math.round((height + 2 * EDGE) * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width + LEGEND + EDGE, height + 2 * EDGE);
  context.drawImage(points, EDGE, 0, width, height);
  context.strokeStyle = "#c8ced7";
  context.strokeRect(EDGE, 0.5, width, height);
  context.fillStyle = INK;
  context.font = FONT;
  context.textAlign = "center";
  context.fillText(axes[0] ?? "", EDGE + width / 2, height + 20, width);
  context.save();
  context.translate(20, height / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(axes[1] ?? "", 0, 0, height);
  context.restore();
  context.textAlign = "left";
  context.fillText(note, EDGE, height + 46, width + LEGEND);
  drawLegend(context, column, title, EDGE + width + 14, 18);
  return canvas;
}

function drawLegend(context, column, title, left, top) {
  context.fillText(title, left, top, LEGEND - 20);
  const entries = column.isGroups
    ? column.entries.filter(({ count }) => count > 0).map(({ colour, title, count }) => ({ colour, title: `${title} (${count})` }))
    : column.ramp.map((colour, k, all) => ({ colour, title: rampText(column, k / (all.length - 1)) })).concat({ colour: column.unknown, title: "not known" });
  entries.forEach(({ colour, title: said }, k) => {
    const y = top + (k + 1) * LINE;
    context.fillStyle = colour;
    context.fillRect(left, y - 10, 12, 12);
    context.fillStyle = INK;
    context.fillText(said, left + 18, y, LEGEND - 40);
  });
}

/** What a colour of the ramp stands for; only its ends and its middle are named. */
function rampText(column, share) {
  if (column.least === null || ![0, 0.5, 1].includes(share)) return "";
  return `${shortNumber(column.low + share * (column.high - column.low))} ${column.unit}`;
}

/** Hand a canvas over as a PNG file. */
export function download(canvas, name) {
  canvas.toBlob((blob) => {
    const address = URL.createObjectURL(blob);
    const link = element("a");
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }, "image/png");
}
