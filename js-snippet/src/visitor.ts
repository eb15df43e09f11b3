/** Who the visitor is, as far as the page may know. */

import { forgets, stamps } from "./hooks";
import { uuidv7 } from "./ids";
import { settings } from "./settings";
import { touch, type Area } from "./storage";

/** Holds the visitor's id, the session's, and the time of its last event. */
const KEY = "weir.v";

/** A session ends after half an hour without an event. */
const SESSION_MS = 30 * 60_000;

/** Stamps events with the ids that the page asked to keep; none under Global Privacy Control. */
export function visitor(): void {
  const area = `${settings.storage}Storage` as Area;
  if (!settings.storage || (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl) return;
  stamps.push((event) => {
    const now = Date.now();
    touch(area, (storage) => {
      const [visitor, session, last] = (storage.getItem(KEY) ?? "").split(" ");
      const known = visitor || uuidv7(now);
      const current = now - +last! < SESSION_MS ? session! : uuidv7(now);
      // First kept, then told: an id that cannot be kept would make a visitor of every event.
      storage.setItem(KEY, [known, current, now].join(" "));
      event.user_domain_id = known;
      event.session_id = current;
    });
  });
  forgets.push(() => touch(area, (storage) => storage.removeItem(KEY)));
}
