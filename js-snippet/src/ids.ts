/** Ids that sort by time. */

/**
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance. `crypto.getRandomValues` is also there
 * on pages without TLS, where `crypto.randomUUID` is not.
 */
export function uuidv7(now: number = Date.now()): string {
  // A clock that lost its battery says 1970: few digits. 7 is the version, 8 the variant.
  const form = `${now.toString(16).padStart(12, "0").replace(/.{8}/, "$&-")}-7xxx-8xxx-xxxxxxxxxxxx`;
  return form.replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0]! & 15).toString(16));
}
