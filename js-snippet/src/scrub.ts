/** What the page's owner does not want to know. */

import { stamps } from "./hooks";
import { settings, words } from "./settings";

/** `address` without the values of the parameters `names` in its query or its hash. */
export const redacted = (address: string, names: string) =>
  address.replace(new RegExp(`([?&#](${words(names).join("|")})=)[^&#]*`, "g"), "$1removed");

/** Drops events of pages that are excluded, and takes the values of parameters out of addresses. */
export function scrub(): void {
  const { exclude, redact } = settings;
  if (exclude) stamps.push(() => !words(exclude).some((start) => location.pathname.startsWith(start)));
  if (redact) {
    stamps.push((event) => {
      event.page_url = redacted(event.page_url, redact);
      if (event.referer_url) event.referer_url = redacted(event.referer_url, redact);
    });
  }
}
