/** How long and how far a page was read. */

import { isHidden } from "./navigation";

/** A page left open on a desk is not read for longer than this. */
const MAX_MS = 30 * 60_000;

export interface Engagement {
  /** Milliseconds since the last call, and the deepest point reached in them in percent. */
  (): { engaged_ms: number; scroll_percent: number };
}

/** Counts time while the page is visible and has the focus; both are needed to be read. */
export function engagement(): Engagement {
  let since: number | null = null;
  let gathered = 0;
  let deepest = 0;
  const look = () => {
    const now = performance.now();
    if (since !== null) gathered += now - since;
    since = document.hasFocus() && !isHidden() ? now : null;
  };
  const measure = () => {
    const percent = (100 * (scrollY + innerHeight)) / document.documentElement.scrollHeight;
    deepest = Math.max(deepest, Math.min(100, Math.round(percent)));
  };
  document.addEventListener("visibilitychange", look);
  for (const type of ["focus", "blur"]) addEventListener(type, look);
  addEventListener("scroll", measure, { passive: true, capture: true });
  look();
  return () => {
    look();
    measure();
    const taken = { engaged_ms: Math.round(Math.min(gathered, MAX_MS)), scroll_percent: deepest };
    gathered = deepest = 0;
    return taken;
  };
}
