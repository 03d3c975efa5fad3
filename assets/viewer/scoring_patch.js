// What an edit changes: { stages: [[epoch, from, to], …], events: [[id, from|null, to|null], …] }, and what can be done with it.

/** Lay what an edit shows over stages and events; returns what was touched. */
export function lay({ stages, events }, target) {
  for (const [epoch, , to] of stages) target.stages[epoch - 1] = to;
  for (const [id, , to] of events) {
    if (to) target.events.set(id, { id, ...to });
    else target.events.delete(id);
  }
  return { stages: stages.map(([epoch]) => epoch), events: events.map(([id]) => id) };
}

/** Note which epochs somebody has looked at: who scores one has, also when it stays as it was; who takes that back has not. */
export function noteLooks(lookedAt, action, epochs = []) {
  const isTakenBack = action === "undo" || action === "reset stages";
  for (const epoch of epochs) {
    if (isTakenBack) lookedAt.delete(epoch);
    else lookedAt.add(epoch);
  }
}

export function inverse({ stages, events }) {
  const turned = ([what, from, to]) => [what, to, from];
  return { stages: stages.map(turned), events: events.map(turned) };
}

/** An event as a patch holds it. */
export function bare(event) {
  if (!event) return null;
  const { start, stop, name, channel, source, extra } = event;
  return { start, stop, name, channel, source, extra: extra ?? {} };
}

export function isSame(one, other) {
  return one === other || JSON.stringify(bare(one)) === JSON.stringify(bare(other));
}

/** What the newest of one's own changes was about. */
export function ownLast(changes, me) {
  const { stages = [], events = [] } = changes.findLast(({ by }) => by === me) ?? {};
  return { stages: stages.map(([epoch]) => epoch), events: events.map(([id]) => id) };
}

/** Who last changed what an edit was about, and when. */
export function lastOfOthers(edit, changes = [], me) {
  const epochs = new Set((edit.shows?.stages ?? []).map(([epoch]) => epoch));
  const ids = new Set((edit.shows?.events ?? []).map(([id]) => id));
  const concerns = (change) => (change.stages ?? []).some(([epoch]) => epochs.has(epoch)) || (change.events ?? []).some(([id]) => ids.has(id));
  const found = changes.findLast((change) => change.by !== me && concerns(change)) ?? changes.findLast(concerns);
  return { by: found?.by ?? "", at: found?.at ?? "" };
}
