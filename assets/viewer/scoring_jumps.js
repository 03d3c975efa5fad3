// Where a jump leads: the next epoch to look at, not scored, at a change of stage, or on which two scorings disagree.

/**
 * Return { epoch, say } for a jump from an epoch, or { say } when there is nowhere to go. Beyond the last one it begins anew.
 *
 * `night` is the overview; its first scoring is the one that is scored. `kind` is "look", "unscored", "transition" or "disagreement".
 */
export function nextEpoch(kind, night, from, { back = false } = {}) {
  const { list, name, none } = FINDERS[kind](night);
  if (!list.length) return { say: none };
  let index = back ? list.findLastIndex(({ epoch }) => epoch < from) : list.findIndex(({ epoch }) => epoch > from);
  if (index < 0) index = back ? list.length - 1 : 0;
  const { epoch, why } = list[index];
  return { epoch, say: [`${name}: ${index + 1} of ${list.length}`, why].filter(Boolean).join(" · ") };
}

/**
 * The epochs to look at now: where the two scorings differ, or those that were marked (`night.marked`) and that nobody has scored or
 * confirmed since.
 */
export function epochsToReview(night, document) {
  if (night.compared) return disagreements(...night.scorings, night.stageNames);
  return night.marked.filter(({ epoch }) => !document.lookedAt.has(epoch));
}

/** Whether two scorings stand against each other: a review over the very stages that it began from is no comparison. */
export function areCompared({ scorings: [first, second] }) {
  if (!first?.proposed?.length || !second?.stages.length) return Boolean(second);
  return second.stages.some((stage, at) => at < first.proposed.length && stage !== first.proposed[at]);
}

/** Epochs that both scorings scored and scored differently, each with who says what; `names` gives a stage's letters. */
export function disagreements(first, second, names) {
  const found = [];
  const length = Math.min(first.stages.length, second.stages.length);
  for (let at = 0; at < length; at += 1) {
    const [one, other] = [first.stages[at], second.stages[at]];
    if (one === other || one < 0 || other < 0) continue;
    found.push({ epoch: at + 1, why: `${first.label} ${names.get(one)}, ${second.label} ${names.get(other)}` });
  }
  return found;
}

const FINDERS = {
  look(night) {
    return { list: night.to_review, name: night.compared ? "Scorings differ" : "Least certain", none: nothingToLookAt(night) };
  },
  unscored(night) {
    const list = epochsWhere(night, (stage) => stage < 0);
    return { list, name: "Not scored", none: night.scorings.length ? "Every epoch is scored." : "No scoring is shown." };
  },
  transition(night) {
    const list = epochsWhere(night, (stage, before) => before !== undefined && stage !== before);
    return { list, name: "Change of stage", none: night.scorings.length ? "The stage never changes." : "No scoring is shown." };
  },
  disagreement(night) {
    const [first, second] = night.scorings;
    const other = second ?? (first?.proposed && { label: first.proposal, stages: first.proposed });
    if (!other) return { list: [], none: "Nothing to compare with: choose a second scoring above (“compare with …”)." };
    return { list: disagreements(first, other, night.stageNames), name: "Disagreement", none: `No disagreement with ${other.label || "what it began from"}.` };
  },
};

function nothingToLookAt({ scorings, compared, marked }) {
  if (!scorings.length) return "Not staged yet: no epoch is marked for a look.";
  if (compared) return "The two scorings differ nowhere.";
  if (marked.length) return "Every epoch of those that were least certain has been looked at. Q lists what matters most.";
  return scorings[0].probabilities ? "No epoch was uncertain." : "Nothing says which epochs are uncertain: this scoring has no probabilities.";
}

function epochsWhere(night, test) {
  const found = [];
  night.scorings[0]?.stages.forEach((stage, at, stages) => {
    if (test(stage, stages[at - 1])) found.push({ epoch: at + 1 });
  });
  return found;
}
