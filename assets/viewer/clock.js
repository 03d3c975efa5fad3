// Times as people read them. The night's axis is seconds from the recording's start; EDF clocks have no time zone, so the
// arithmetic is done in UTC and nothing is shifted by the browser's own zone.

const two = (number) => String(number).padStart(2, "0");

/** "23:14:05", or elapsed time when the recording has no start; tenths only where they differ from zero. */
export function clockText(startIso, seconds, { withSeconds = true } = {}) {
  if (!startIso) return elapsedText(seconds);
  const date = new Date(Date.parse(`${startIso}Z`) + Math.round(seconds * 1000));
  const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  if (!withSeconds) return text;
  const tenths = Math.floor(date.getUTCMilliseconds() / 100);
  return `${text}:${two(date.getUTCSeconds())}${tenths ? `.${tenths}` : ""}`;
}

/** "1:02:30" from the recording's start. */
export function elapsedText(seconds) {
  const sign = seconds < 0 ? "−" : "";
  const whole = Math.floor(Math.abs(seconds) + 1e-6);
  return `${sign}${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** A span in words: "30 s", "5 min", "2 h". */
export function spanText(seconds) {
  if (seconds < 120 && seconds % 60 !== 0) return `${seconds} s`;
  if (seconds < 3600) return `${seconds / 60} min`;
  return `${seconds / 3600} h`;
}

/** A step that puts a label at least `minPixels` apart. */
export function tickStep(span, pixels, minPixels) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  return steps.find((step) => (step / span) * pixels >= minPixels) ?? 28800;
}

/** Seconds from the recording's start to the first round clock time, for ticks at full hours and half hours. */
export function clockPhase(startIso, step) {
  if (!startIso) return 0;
  const seconds = Date.parse(`${startIso}Z`) / 1000;
  return (step - (seconds % step)) % step;
}
