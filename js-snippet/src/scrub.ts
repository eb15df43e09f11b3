/** What the page's owner does not want to know. */

import { stamps } from "./hooks";
import { settings, words } from "./settings";

/** `address` without the values of the parameters `names` in its query or its hash. */
export const redacted = (address: string, names: string) =>
  address.replace(new RegExp(`([?&#](${words(names).join("|")})=)[^&#]*`, "g"), "$1removed");

/** Drops events of pages that are excluded, and takes the values of parameters out of addresses. */
export function scrub(): void {
  const { exclude, redact } = settings;
  if (exclude) {
    // By what the event tells of: reading is told when the address is that of the next page already.
    stamps.push(({ page_url }) => words(exclude).some((start) => page_url?.startsWith(location.origin + start)));
  }
  if (redact) {
    stamps.push((event) => {
      for (const name of ["page_url", "referer_url"] as const) event[name] &&= redacted(event[name], redact);
    });
  }
}
