/** Bytes to the gateway. */

/**
 * The browser allows 64 KiB of keepalive bodies in flight, of all scripts of the page together;
 * above, fetch fails without a word (fetch standard, "inflight keep-alive bytes"). We take less.
 */
const KEEPALIVE_BYTES = 48_000;

/** What became of a request: a status, or none for no answer, and what Retry-After asks for. */
export type Answered = (status: number | undefined, retryAfterSeconds: number) => void;

let inFlight = 0;

/**
 * Posts `body`. A plain string is text/plain, which needs no preflight. Everything happens before
 * this returns, for what is left for later does not happen on a page that is gone; only the answer
 * comes later. Returns whether the request outlives the page; with `mustKeep` nothing else is tried.
 */
export function post(url: string | URL, body: string, mayKeep: boolean, mustKeep: boolean | undefined, answered: Answered): boolean {
  let bytes = new TextEncoder().encode(body).length;
  // Firefox has keepalive since 133.
  const keepalive = mayKeep && inFlight + bytes < KEEPALIVE_BYTES && "keepalive" in Request.prototype;
  let request: Promise<Response> | undefined;
  try {
    // A page may have put something in the place of fetch that throws, or returns nothing.
    if (keepalive || !mustKeep) request = fetch(url, { method: "POST", body, keepalive });
  } catch {}
  // The beacon comes second: it is what blockers hit first, and it says true where a policy refuses
  // it (w3c/beacon#82).
  if (mustKeep && !request) return navigator.sendBeacon?.(url, body);
  if (!keepalive) bytes = 0;
  inFlight += bytes;
  Promise.resolve(request)
    .catch(() => {})
    .then((answer) => {
      inFlight -= bytes;
      answered(answer?.status, +answer?.headers?.get("retry-after")! || 0);
    });
  return keepalive;
}
