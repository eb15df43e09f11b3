/** What a request says around its events. */

import { hints } from "./hooks";
import { settings } from "./settings";

const VERSION = 1;
const LIBRARY = "js/0.2.0";

/** A request's body around `events`, each of which is JSON already. */
export const envelope = (events: (string | undefined)[]) =>
  JSON.stringify({ v: VERSION, site: settings.site, sent_at: Date.now(), lib: LIBRARY, hints, events: [] }).slice(0, -2) +
  `${events}]}`;
