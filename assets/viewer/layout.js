// Distances the overview and the traces share, so that their plots begin and end on the same pixel.

export const GUTTER = 144; // names and scales, left of every plot
export const RIGHT = 12;
export const FONT = '"Source Sans 3", "Source Sans Pro", "Source Sans", "Segoe UI", system-ui, "DejaVu Sans", sans-serif';

/** Text cut to a width, with an ellipsis. */
export function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return `${text.slice(0, length)}…`;
}
