/** Events that wait for their request. */

import { isHidden } from "./navigation";
import { post, postLast } from "./transport";
import type { Result, WireEvent } from "./types";

/** A request holds at most so many events, */
const MAX_EVENTS = 20;
/** and about so many characters. */
const MAX_CHARS = 15_000;
/** Events kept while the gateway is away; the oldest go first. */
const MAX_WAITING = 100;
/** How long an event waits for company. */
const LINGER_MS = 1_000;
/** Tries of a request without an answer: a blocker looks like that. */
const TRIES_UNANSWERED = 3;
/** Tries of a request that the gateway told to come back. */
const TRIES = 5;

export interface Entry {
  event: WireEvent;
  callback?: ((result: Result) => void) | undefined;
}

export interface Queue {
  /** Adds an event; `urgent` ones do not wait for company. */
  add(entry: Entry, urgent: boolean): void;
  flush(): void;
  /** Sends everything at once, for the page is going away. */
  flushLast(): void;
}

/** Milliseconds before try number `tries`: full jitter below a doubling cap. */
export function backoffMs(tries: number, retryAfterSeconds: number, chance: number): number {
  return retryAfterSeconds * 1_000 + chance * 1_000 * 2 ** tries;
}

export function shouldRetry(status: number, tries: number): boolean {
  if (status === 0) return tries < TRIES_UNANSWERED;
  return (status === 408 || status === 429 || status >= 500) && tries < TRIES;
}

export function queue(
  url: string,
  envelope: (events: WireEvent[]) => object,
): Queue {
  let waiting: Entry[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** No request before this time: the gateway asked for patience. */
  let notBefore = 0;

  const body = (entries: Entry[]) => JSON.stringify(envelope(entries.map((e) => e.event)));
  const settle = (entries: Entry[], result: Result) => {
    // On its own turn: a page's mistake is the page's.
    for (const { callback } of entries) callback && setTimeout(callback, 0, result);
  };

  /** Takes the next request's events out; what is sent is never in the queue as well. */
  const take = (): Entry[] => {
    let chars = 0;
    const over = waiting.findIndex(({ event }, at) => {
      chars += JSON.stringify(event).length;
      return at > 0 && (at === MAX_EVENTS || chars > MAX_CHARS);
    });
    return waiting.splice(0, over < 0 ? MAX_EVENTS : over);
  };

  const plan = (ms: number) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      flush();
    }, ms);
  };

  const send = (entries: Entry[], tries: number) => {
    post(url, body(entries), (status, retryAfter) => {
      if (status >= 200 && status < 300) return settle(entries, "sent");
      if (!shouldRetry(status, tries + 1)) return settle(entries, "dropped");
      const wait = backoffMs(tries, retryAfter, Math.random());
      notBefore = Math.max(notBefore, Date.now() + retryAfter * 1_000);
      setTimeout(() => send(entries, tries + 1), wait);
    });
  };

  /** Empties the queue by `send`, which nothing will call again. */
  const drain = (send: (entries: Entry[]) => void) => {
    clearTimeout(timer);
    timer = undefined;
    while (waiting.length) send(take());
  };

  const flush = () => {
    const wait = notBefore - Date.now();
    if (wait > 0) plan(wait);
    else drain((entries) => send(entries, 0));
  };

  /** Halves what the browser does not take; one event it does not take is lost. */
  const sendLast = (entries: Entry[]) => {
    if (postLast(url, body(entries))) return settle(entries, "sent");
    if (entries.length < 2) return settle(entries, "dropped");
    const half = entries.length >> 1;
    sendLast(entries.slice(0, half));
    sendLast(entries.slice(half));
  };

  const flushLast = () => drain(sendLast);

  return {
    add(entry, urgent) {
      waiting.push(entry);
      settle(waiting.splice(0, waiting.length - MAX_WAITING), "dropped");
      // An event after our own flush of a page that hides would wait for ever.
      if (isHidden()) flushLast();
      else if (urgent || waiting.length >= MAX_EVENTS) flush();
      else plan(LINGER_MS);
    },
    flush,
    flushLast,
  };
}
