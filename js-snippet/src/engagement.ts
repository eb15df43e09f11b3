/** How long and how far a page was read. */

import { ends } from "./hooks";
import { isHidden } from "./lifecycle";
import { on } from "./quietly";
import { watches } from "./settings";
import { emitOfView } from "./tracker";

/** A page left open on a desk is not read for longer than this. */
const MAX_MS = 30 * 60_000;

/** Less time and no new depth is not worth an event. */
const MIN_MS = 3_000;

/** Counts time while the page is visible and has the focus; both are needed to be read. */
export function engagement(): void {
  if (!watches("engagement")) return;
  let since: number | false = false;
  let gathered = 0;
  let deepest = 0;
  let toldDepth = 0;
  const look = () => {
    // The monotonic clock: the other one jumps.
    const now = performance.now();
    if (since) gathered += now - since;
    // A frame or a list of the page takes the focus from its window, not from its document.
    since = document.hasFocus() && !isHidden() && now;
  };
  const measure = () => {
    const percent = (100 * (scrollY + innerHeight)) / document.documentElement.scrollHeight;
    deepest = Math.max(deepest, Math.min(100, Math.round(percent)));
  };
  on("visibilitychange focus blur", look);
  on("scroll", measure);
  look();
  ends.push((isOver) => {
    look();
    measure();
    if (gathered >= MIN_MS || deepest > toldDepth) {
      toldDepth = deepest;
      emitOfView("engagement", { engaged_ms: Math.round(Math.min(gathered, MAX_MS)), scroll_percent: deepest });
      gathered = 0;
    }
    if (isOver) gathered = deepest = toldDepth = 0;
  });
}
