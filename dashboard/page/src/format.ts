/** Values as people read them. Everything from events is hostile and stays text. */

/** Longest value shown in a list. */
const MAX_CHARS = 80;

/** Shows what steers text (controls, direction marks) as its number, and cuts what is long. */
export function safe(value: unknown, max = MAX_CHARS): string {
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  const shown = text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  // By code points, so that no character is cut in half.
  const chars = [...shown];
  return chars.length > max ? `${chars.slice(0, max - 1).join("")}…` : shown;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value: number): string => (value < 10_000 ? whole : short).format(value);

export const percent = (part: number, all: number): string =>
  all > 0 ? `${((100 * part) / all).toFixed(part > 0 && part / all < 0.1 ? 1 : 0)} %` : "–";

export const rate = (value: number): string =>
  value < 10 ? value.toFixed(1) : count(Math.round(value));

export const seconds = (value: number): string =>
  value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;

export const clock = (ms: number): string => new Date(ms).toLocaleTimeString();

/** A bucket's time: the hour within a day, the day beyond. */
export function time(ms: number, rangeMs: number): string {
  const at = new Date(ms);
  const hour = at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  const day = at.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  return rangeMs <= 86_400_000 ? hour : rangeMs <= 7 * 86_400_000 ? `${day} ${hour}` : day;
}

const COUNTRIES = new Intl.DisplayNames(["en"], { type: "region" });

/** A country's name for its code of two letters; anything else as it is. */
export function country(code: string): string {
  try {
    return COUNTRIES.of(code) ?? code;
  } catch {
    return code;
  }
}
