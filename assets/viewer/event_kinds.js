// The kinds of events: how each is called, abbreviated, hatched and grouped, and how long it has to be.

// `code` and `hatch` say what an event is where colour alone would not; `least` and `most` in seconds are the AASM manual's.
export const KINDS = [
  { name: "Obstructive apnea", code: "OA", hatch: "rising", group: "respiratory", least: 10, key: "o" },
  { name: "Central apnea", code: "CA", hatch: "falling", group: "respiratory", least: 10, key: "c" },
  { name: "Mixed apnea", code: "MA", hatch: "crossed", group: "respiratory", least: 10, key: "m" },
  { name: "Hypopnea", code: "H", hatch: "level", group: "respiratory", least: 10, key: "h" },
  { name: "RERA", code: "RE", hatch: "dotted", group: "respiratory", least: 10, key: "r" },
  { name: "Desaturation", code: "D", hatch: "full", group: "desaturation", key: "d" },
  { name: "Arousal", code: "A", hatch: "upright", group: "arousal", least: 3, key: "a" },
  { name: "Leg movement", code: "LM", hatch: "full", group: "limb", least: 0.5, most: 10, key: "l" },
  { name: "PLM", code: "PL", hatch: "dotted", group: "limb", least: 0.5, most: 10, key: "p" },
  { name: "Snore", code: "S", hatch: "level", group: "", key: "s" },
  { name: "Artifact", code: "X", hatch: "crossed", group: "", key: "x" },
];

const BY_NAME = new Map(KINDS.map((kind) => [kind.name, kind]));
const OTHER = { code: "•", hatch: "full", group: "" };

export function kindOf(name) {
  return BY_NAME.get(name) ?? OTHER;
}

export function colourOf(theme, name) {
  return theme.events[name] ?? theme.otherEvent;
}

export const LIGHTS_OFF = "Lights off";
export const LIGHTS_ON = "Lights on";
export const OUTSIDE = "rgb(214 218 224 / 55%)"; // over what lies before the one or after the other

export function isLights(name) {
  return name === LIGHTS_OFF || name === LIGHTS_ON;
}

/** The lines of ticks in the night's overview, from top to bottom, each in the colour of its most frequent kind. */
export const GROUPS = [
  { group: "respiratory", short: "breathing", example: "Hypopnea" },
  { group: "desaturation", short: "desat.", example: "Desaturation" },
  { group: "arousal", short: "arousals", example: "Arousal" },
  { group: "limb", short: "limbs", example: "Leg movement" },
];

// what an event that is drawn on a channel is until somebody says otherwise
const FIRST_NAMES = new Map([
  ["flow", "Hypopnea"],
  ["nasal pressure", "Hypopnea"],
  ["thermistor", "Hypopnea"],
  ["thorax effort", "Hypopnea"],
  ["abdomen effort", "Hypopnea"],
  ["effort sum", "Hypopnea"],
  ["PAP setting", "Hypopnea"],
  ["SpO2", "Desaturation"],
  ["EEG", "Arousal"],
  ["EOG", "Arousal"],
  ["chin EMG", "Arousal"],
  ["leg EMG", "Leg movement"],
  ["snore", "Snore"],
]);

export function firstName(channelKind) {
  return FIRST_NAMES.get(channelKind) ?? "Artifact";
}

/** Whether an event that names no channel may be drawn on one of this kind. */
export function isAtHome(name, channelKind) {
  const first = FIRST_NAMES.get(channelKind);
  return first !== undefined && (first === name || (kindOf(name).group !== "" && kindOf(first).group === kindOf(name).group));
}

/** What the AASM manual says against an event's length, or "". */
export function lengthRemark({ name, start, stop }) {
  const { least, most } = kindOf(name);
  const seconds = stop - start;
  if (least && seconds < least - 0.05) return `shorter than ${least} s (AASM)`;
  if (most && seconds > most + 0.05) return `longer than ${most} s (AASM)`;
  return "";
}
