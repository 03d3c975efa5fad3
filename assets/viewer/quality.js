// What was found wrong with the signals, by epoch. The server sends, for each channel with a finding, one byte an epoch: a bit a flag.

/** 0 nothing found, 1 something to note, 2 unusable: the worst over the channels, by epoch. */
export function worstOf(quality) {
  const worst = new Uint8Array(quality.epochs);
  for (const { flags } of quality.channels) {
    for (let epoch = 0; epoch < flags.length; epoch += 1) {
      if (!flags[epoch]) continue;
      worst[epoch] = Math.max(worst[epoch], flags[epoch] & quality.bad ? 2 : 1);
    }
  }
  return worst;
}

/** "C4-M1: flat" for every channel with a finding in an epoch. */
export function flagsAt(quality, epoch) {
  const lines = [];
  for (const { label, flags } of quality.channels) {
    const bits = flags[epoch - 1];
    if (bits) lines.push(`${label}: ${quality.flags.filter((_, bit) => bits & (1 << bit)).join(", ")}`);
  }
  if (lines.length > 12) return [...lines.slice(0, 12), `and ${lines.length - 12} more channels`];
  return lines.length ? lines : ["nothing found"];
}
