// How well the modalities of a night agree, asked for once by the strip and the clips together.

import { fetchJson } from "../viewer/dom.js";

const asked = new Map(); // url → promise; the address names the state of the index

export function agreementAt(url) {
  let answer = asked.get(url);
  if (!answer) {
    answer = fetchJson(url);
    asked.set(url, answer);
    answer.catch(() => asked.delete(url)); // what failed deserves another try
  }
  return answer;
}

/** The strip of a modality, and the number of the window that begins at a time; undefined where nothing was judged. */
export function judgement(agreement, modality, seconds) {
  const strip = agreement.strips.find((one) => one.modality === modality);
  const index = agreement.starts.findIndex((start) => Math.abs(start - seconds) < 150);
  return strip && index >= 0 ? { flag: strip.flags[index], score: strip.scores[index], why: strip.why } : undefined;
}
