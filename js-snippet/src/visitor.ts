/** Who the visitor is, as far as the page may know. */

import type { Config } from "./config";
import { uuidv7 } from "./ids";
import { openStore } from "./storage";

const VISITOR = "weir.v";
const SESSION = "weir.s";
const OPT_OUT = "weir.o";

/** A session ends after half an hour without an event. */
const SESSION_MS = 30 * 60_000;

export interface Visitor {
  /** The ids to send now; none under Global Privacy Control or without storage. */
  ids(now: number): { user_domain_id?: string; session_id?: string };
  forget(): void;
  hasOptedOut(): boolean;
  optOut(out: boolean): void;
}

export function visitor(config: Config, mayStore: () => boolean): Visitor {
  const local = openStore("local");
  const kept = config.storage && openStore(config.storage);
  const gpc = (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl === true;
  return {
    ids(now) {
      if (!kept || gpc || !mayStore()) return {};
      let id = kept.read(VISITOR);
      if (!id) kept.write(VISITOR, (id = uuidv7(now)));
      const [session, last] = (kept.read(SESSION) ?? "").split(" ");
      const isOpen = session && now - Number(last) < SESSION_MS;
      const current = isOpen ? session : uuidv7(now);
      kept.write(SESSION, `${current} ${now}`);
      return { user_domain_id: id, session_id: current };
    },
    forget() {
      for (const key of [VISITOR, SESSION]) kept && kept.write(key, null);
    },
    hasOptedOut: () => local.read(OPT_OUT) !== null,
    optOut: (out) => local.write(OPT_OUT, out ? "1" : null),
  };
}
