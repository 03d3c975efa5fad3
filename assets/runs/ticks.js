// Numbers on axes: where the marks stand and how they are written.

/** Return about `count` round numbers between two ends. */
export function linearTicks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const marks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k += 1) marks.push(k * step);
  return marks;
}

/** Return marks between two positive ends of a logarithmic axis: powers of ten, with 2 and 5 between them where few fit. */
export function logTicks(low, high, count) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first) / Math.max(1, count)));
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const marks = [];
  for (let power = first; power <= last; power += every) {
    for (const factor of factors) {
      const mark = factor * 10 ** power;
      if (mark >= low * (1 - 1e-9) && mark <= high * (1 + 1e-9)) marks.push(mark);
    }
  }
  return marks.length > 1 ? marks : linearTicks(low, high, count);
}

/** Write a number as short as it can be read: 0.0013, 2.5e-7, 12,500. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}
