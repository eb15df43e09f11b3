/** Events that wait for their request. */

import { envelope } from "./envelope";
import { isHidden } from "./lifecycle";
import { on, quietly } from "./quietly";
import { settings } from "./settings";
import { post } from "./transport";
import type { Result, WireEvent } from "./types";

/** A request holds at most so many events, */
const MAX_EVENTS = 20;
/** and about so many characters. */
const MAX_CHARS = 15_000;
/** Events kept while the gateway is away; the oldest go first. */
const MAX_WAITING = 100;
/** How long an event waits for company. */
const LINGER_MS = 1_000;
/** The wait stops doubling at 2^6 seconds. */
const MAX_DOUBLINGS = 6;

/** When an event goes: with the flush that follows, when others have joined it, or at once. */
export type Urgency = 0 | 1 | 2;

export interface Entry {
  _event: WireEvent;
  /** The event as JSON: what is sent again is what was sent. */
  _text?: string;
  _callback?: ((result: Result) => void) | undefined;
  _urgency: Urgency;
}

let waiting: Entry[] = [];
/** Requests under way that end with the page. */
const fragile = new Set<Entry[]>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** No request before this time. */
let notBefore = 0;
/** Failures in a row. */
let failures = 0;
/** What has not been sent, on a page on which something keeps it from being sent. */
export const stuck = () => (failures || !navigator.onLine ? waiting : []);

/** Milliseconds to wait after `failures` in a row: full jitter on top of Retry-After. */
export const backoffMs = (failures: number, retryAfterSeconds: number, chance: number) =>
  1_000 * (retryAfterSeconds + chance * 2 ** Math.min(failures, MAX_DOUBLINGS));

/** Whether time can help: not where the request itself was refused. */
export const isTemporary = (status = 0) => !status || status === 408 || status === 429 || status >= 500;

/** Tells the page, on its own turn: a page's mistake is the page's. */
export function settle(entries: Entry[], result: Result): void {
  for (const { _callback } of entries) _callback && setTimeout(_callback, 0, result);
}

/** Drops the oldest of too many. */
export const limit = (entries: Entry[]) => settle(entries.splice(0, entries.length - MAX_WAITING), "dropped");

/** Takes the next request's events out; what is sent is never in the queue as well. */
function take(): Entry[] {
  let chars = 0;
  const over = waiting.findIndex(({ _text }, at) => {
    chars += _text!.length;
    return at && (at === MAX_EVENTS || chars > MAX_CHARS);
  });
  // -1 is none too many: unsigned, more than there are.
  return waiting.splice(0, over >>> 0);
}

function halve(entries: Entry[], isLast: boolean): void {
  send(entries.splice(0, entries.length / 2), isLast);
  send(entries, isLast);
}

function send(entries: Entry[], isLast?: boolean): void {
  const body = envelope(entries.map(({ _text }) => _text));
  // A refusal of the browser, for other scripts have used up what it allows, looks like a failure
  // of the network: every other try goes without keepalive.
  const isKept = post(settings.endpoint!, body, isLast || !(failures & 1), isLast, (status, retryAfter) => {
    // What was under way when the page was left has been sent once more.
    if (!isKept && !fragile.delete(entries)) return;
    if (status === 413 && entries.length > 1) {
      halve(entries, false);
    } else if (isTemporary(status)) {
      // However long it takes: a blocker looks like a gateway that is away, and costs a request a
      // minute then.
      notBefore = performance.now() + backoffMs(failures++, retryAfter, Math.random());
      waiting.unshift(...entries);
      limit(waiting);
      flush();
    } else {
      failures = 0;
      settle(entries, status! < 300 ? "sent" : "dropped");
    }
  });
  if (isKept) return;
  if (!isLast) fragile.add(entries);
  else if (entries.length > 1) halve(entries, true);
  // What no beacon takes has a last chance on a page that is only hidden.
  else send(entries, false);
}

function plan(ms: number): void {
  timer ??= setTimeout(quietly, ms, flush);
}

/** Sends what waits, unless it is too early; before the page is gone, it never is. */
export function flush(isLast?: boolean): void {
  timer = clearTimeout(timer) as undefined;
  const wait = notBefore - performance.now();
  if (wait > 0 && !isLast) return plan(wait);
  while (waiting.length) send(take(), isLast);
}

/** Adds events in the form that they are to have on the wire. */
export function add(entries: Entry[]): void {
  waiting.push(...entries);
  limit(waiting);
  const urgency = Math.max(...entries.map(({ _urgency }) => _urgency));
  if (urgency < 1) return;
  // On a page that is hidden nothing comes after an event; not even its timer, perhaps.
  if (isHidden() || urgency > 1 || waiting.length >= MAX_EVENTS) flush(isHidden() && notBefore < performance.now());
  else plan(LINGER_MS);
}

/** Sends all that is not known to have arrived, at once: the page may be going away. */
export function leave(): void {
  fragile.forEach((entries) => waiting.unshift(...entries));
  fragile.clear();
  flush(true);
}

/** Sends again as soon as the browser says that it can. */
export function open(): void {
  on("online", () => {
    notBefore = 0;
    flush();
  });
}
