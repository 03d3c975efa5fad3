// Events as the events CSV (Start, Stop, Event, Channel, Source and the columns of their kinds), with time of day, stage and counting.

import { clockText } from "./clock.js";

const OWN = ["Start", "Stop", "Event", "Channel", "Source"];

/** `judged(event)` returns the stage in which an event starts and whether it counts. */
export function eventsCsv(events, start, judged) {
  const extras = [...new Set(events.flatMap(({ extra = {} }) => Object.keys(extra)))].filter((name) => !OWN.includes(name)).sort();
  const lines = events.map((event) => [
    event.start.toFixed(2), event.stop.toFixed(2), event.name, event.channel, event.source ?? "",
    ...extras.map((name) => event.extra?.[name] ?? ""), start ? clockText(start, event.start) : "", ...judged(event),
  ]);
  return [[...OWN, ...extras, "Clock", "Stage", "Counts"], ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(content) {
  const text = typeof content === "string" && /^[=+\-@\t\r]/.test(content) && Number.isNaN(Number(content)) ? `'${content}` : String(content);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
