// Curves as they travel: a length, a header in JSON, then for each curve its steps, seconds and values as doubles.

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  let at = 8 + length;
  const array = (n) => {
    const made = new Float64Array(buffer, at, n);
    at += 8 * n;
    return made;
  };
  const curves = header.curves.map((curve) => ({ ...curve, step: array(curve.n), seconds: array(curve.n), value: array(curve.n) }));
  return { ...header, curves };
}
