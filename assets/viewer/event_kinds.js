// The kinds of events: how each is called, abbreviated, hatched and grouped, and how long it has to be.

// `code` and `hatch` say what an event is where colour alone would not; `least` and `most` in seconds are the AASM manual's.
export const KINDS = [
  { name: "Obstructive apnea", code: "OA", hatch: "rising", group: "respiratory", least: 10, key: "o" },
  { name: "Central apnea", code: "CA", hatch: "falling", group: "respiratory", least: 10, key: "c" },
  { name: "Mixed apnea", code: "MA", hatch: "crossed", group: "respiratory", least: 10, key: "m" },
  { name: "Hypopnea", code: "H", hatch: "level", group: "respiratory", least: 10, key: "h" },
  { name: "RERA", code: "RE", hatch: "dotted", group: "respiratory", least: 10, key: "r" },
  { name: "Desaturation", code: "D", hatch: "none", group: "desaturation", key: "d" },
  { name: "Arousal", code: "A", hatch: "upright", group: "arousal", least: 3, key: "a" },
  { name: "Leg movement", code: "LM", hatch: "none", group: "limb", least: 0.5, most: 10, key: "l" },
  { name: "PLM", code: "PL", hatch: "dotted", group: "limb", least: 0.5, most: 10, key: "p" },
  { name: "Snore", code: "S", hatch: "level", group: "", key: "s" },
  { name: "Artifact", code: "X", hatch: "crossed", group: "", key: "x" },
];

const BY_NAME = new Map(KINDS.map((kind) => [kind.name, kind]));
const OTHER = { code: "•", hatch: "none", group: "" };

export function kindOf(name) {
  return BY_NAME.get(name) ?? OTHER;
}

export const LIGHTS_OFF = "Lights off";
export const LIGHTS_ON = "Lights on";

export function isLights(name) {
  return name === LIGHTS_OFF || name === LIGHTS_ON;
}

/** The rows of ticks in the night's overview, from top to bottom. */
export const GROUPS = [
  { group: "respiratory", short: "resp", example: "Hypopnea" },
  { group: "desaturation", short: "desat", example: "Desaturation" },
  { group: "arousal", short: "arousal", example: "Arousal" },
  { group: "limb", short: "limb", example: "Leg movement" },
];

const AIRFLOW = ["flow", "nasal pressure", "thermistor", "PAP setting", "thorax effort", "abdomen effort", "effort sum"];
const FIRST_NAMES = new Map([
  ...AIRFLOW.map((kind) => [kind, "Hypopnea"]),
  ["SpO2", "Desaturation"],
  ["EEG", "Arousal"],
  ["EOG", "Arousal"],
  ["chin EMG", "Arousal"],
  ["leg EMG", "Leg movement"],
  ["snore", "Snore"],
]);

/** What an event drawn on a channel of a kind is until somebody says otherwise. */
export function firstName(channelKind) {
  return FIRST_NAMES.get(channelKind) ?? "Artifact";
}

/** The kinds of channels on which an event of a name is drawn when it names no channel, the most fitting first. */
export function fittingKinds(name) {
  return [...FIRST_NAMES].filter(([, first]) => first === name || (kindOf(first).group === "respiratory" && kindOf(name).group === "respiratory")
    || (first === "Leg movement" && name === "PLM")).map(([kind]) => kind);
}

/** What the AASM manual says against an event's length, or "". */
export function lengthRemark({ name, start, stop }) {
  const { least, most } = kindOf(name);
  const seconds = stop - start;
  if (least && seconds < least - 0.05) return `${name}: shorter than ${least} s (AASM)`;
  if (most && seconds > most + 0.05) return `${name}: longer than ${most} s (AASM)`;
  return "";
}

// the counts need sleep at the event's start; what is in no index is never counted
export function countedText(event, stage) {
  if (!kindOf(event.name).group) return { isCounted: false, text: "–", why: "This kind of event is in no index." };
  if (stage === undefined || stage < 0) return { isCounted: false, text: "no: ?", why: "Marked, not counted: the epoch in which it starts is not scored." };
  if (stage === 0) return { isCounted: false, text: "no: W", why: "Marked, not counted: it starts in wake." };
  return { isCounted: true, text: "yes", why: "Counted: it starts in sleep." };
}
