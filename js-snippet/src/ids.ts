/** Ids that sort by time. */

/**
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance. `crypto.getRandomValues` is also there
 * on pages without TLS, where `crypto.randomUUID` is not.
 */
export function uuidv7(now: number = Date.now()): string {
  const time = now.toString(16).padStart(12, "0");
  const chance = [...crypto.getRandomValues(new Uint8Array(10))]
    .map((byte) => (byte + 256).toString(16).slice(1))
    .join("");
  // The version takes the place of a digit, the variant that of two bits.
  const variant = "89ab"[parseInt(chance[3]!, 16) & 3];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${chance.slice(0, 3)}-${variant}${chance.slice(4, 7)}-${chance.slice(7, 19)}`;
}
