/** Bytes to the gateway. */

/**
 * The browser allows 64 KiB of keepalive bodies in flight, of all scripts of the page together;
 * above, fetch fails without a word (fetch standard, "inflight keep-alive bytes"). We take less.
 */
const KEEPALIVE_BYTES = 48_000;

/** What became of a request: a status, or 0 for no answer. */
export type Answered = (status: number, retryAfterSeconds: number) => void;

let inFlight = 0;

const size = (body: string) => new TextEncoder().encode(body).length;

/**
 * Posts `body`. A plain string is text/plain, which needs no preflight. The answer matters for
 * trying again, never for the page.
 */
export function post(url: string, body: string, answered: Answered): void {
  const bytes = size(body);
  const keepalive = inFlight + bytes < KEEPALIVE_BYTES;
  if (keepalive) inFlight += bytes;
  const done = (status: number, after: number) => {
    if (keepalive) inFlight -= bytes;
    answered(status, after);
  };
  send(url, body, keepalive).then(
    (answer) => done(answer.status, +answer.headers.get("retry-after")! || 0),
    () => done(0, 0),
  );
}

/** `async`, so that a fetch which the page replaced by something that throws rejects as well. */
async function send(url: string, body: string, keepalive: boolean): Promise<Response> {
  return fetch(url, { method: "POST", body, keepalive });
}

/**
 * Posts `body` while the page goes away. Everything happens before this returns: what is left for
 * later does not happen on a page that is gone. Returns whether the browser took it.
 */
export function postLast(url: string, body: string): boolean {
  // The beacon is what blockers hit first, so it comes second.
  if (inFlight + size(body) < KEEPALIVE_BYTES && "keepalive" in Request.prototype) {
    // The call itself happens now; only its answer comes later, to nobody.
    send(url, body, true).catch(() => {});
    return true;
  }
  return navigator.sendBeacon?.(url, body);
}
