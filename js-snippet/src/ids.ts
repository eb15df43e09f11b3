/** Ids that sort by time. */

const chance = (digits: number): string => [...crypto.getRandomValues(new Uint8Array(digits))].map((byte) => (byte & 15).toString(16)).join("");

/**
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance. `crypto.getRandomValues` is also there
 * on pages without TLS, where `crypto.randomUUID` is not. Two ids are made while the page waits, and
 * the first use of a regular expression would take as long as all the rest.
 */
export function uuidv7(now: number = Date.now()): string {
  // A clock that lost its battery says 1970: few digits. 7 is the version, 8 the variant.
  const time = now.toString(16).padStart(12, "0");
  return time.slice(0, 8) + "-" + time.slice(8) + "-7" + chance(3) + "-8" + chance(3) + "-" + chance(12);
}
