/** Ids that sort by time. */

/**
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance. `crypto.getRandomValues` is also there
 * on pages without TLS, where `crypto.randomUUID` is not.
 */
export function uuidv7(now: number = Date.now()): string {
  const chance = [...crypto.getRandomValues(new Uint8Array(18))].map((byte) => (byte & 15).toString(16));
  // A clock that lost its battery says 1970: few digits. 7 is the version, 8 the variant.
  return (now.toString(16).padStart(12, "0") + chance.join("")).replace(/(.{8})(.{4})(...)(...)/, "$1-$2-7$3-8$4-");
}
