// What was found wrong with the signals, by epoch. The server sends, for each channel with a finding, one byte an epoch: a bit a flag.

const MODALITIES = ["BAS", "EKG", "EMG", "RESP"];

/** The strips to draw, one a modality with a finding: its worst level by epoch. Nothing found anywhere is one good strip. */
export function qualityStrips(quality) {
  const strips = MODALITIES.map((modality) => ({ name: modality, channels: quality.channels.filter((channel) => channel.modality === modality) }))
    .filter(({ channels }) => channels.some(({ flags }) => flags.some((bits) => bits)))
    .map(({ name, channels }) => ({ name, levels: worst(quality, channels) }));
  return strips.length ? strips : [{ name: "all good", levels: worst(quality, []) }];
}

const LEVELS = ["good", "gap", "noted", "bad"];

function worst(quality, channels) {
  const levels = new Uint8Array(quality.epochs);
  for (const { flags } of channels) {
    for (let epoch = 0; epoch < flags.length; epoch += 1) {
      const bits = flags[epoch];
      if (!bits) continue;
      const level = bits & quality.bad ? 3 : bits & ~quality.gap ? 2 : 1;
      if (level > levels[epoch]) levels[epoch] = level;
    }
  }
  return Array.from(levels, (level) => LEVELS[level]);
}

/** "C4-M1: flat" for every channel with a finding in an epoch, and suspected units. */
export function flagsAt(quality, epoch) {
  const lines = [];
  for (const { label, flags, suspicion } of quality.channels) {
    const words = quality.flags.filter(({ bit }) => flags[epoch - 1] & bit).map(({ word }) => word);
    if (suspicion) words.push(suspicion);
    if (words.length) lines.push(`${label}: ${words.join(", ")}`);
  }
  if (lines.length > 12) return [...lines.slice(0, 12), `and ${lines.length - 12} more channels`];
  return lines.length ? lines : ["nothing found"];
}
