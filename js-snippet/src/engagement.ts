/** How long and how far a page was read. */

import { ends } from "./hooks";
import { isHidden } from "./lifecycle";
import { on, quietly } from "./quietly";
import { settings, watches } from "./settings";
import { emitOfView } from "./tracker";

/** A page left open on a desk is not read for longer than this. */
const MAX_MS = 20 * 60_000;

/** Less time and no new depth is not worth an event. */
const MIN_MS = 3_000;

/**
 * A page whose process ends, by a crash or by a phone that needs the memory, cannot tell what it has
 * gathered: it tells it as it goes on. In the longest time that is less than the queue's hundred.
 */
const HEARTBEAT_S = 15;

/**
 * Counts time while the page is visible and has the focus; both are needed to be read. Each event
 * tells what came since the one before, so that their sum is the time.
 */
export function engagement(): void {
  if (!watches("engagement")) return;
  let since: number | false | undefined;
  let gathered = 0;
  /** Told of the view since the page was hidden last. */
  let told = 0;
  let deepest = 0;
  let toldDepth = 0;
  const look = () => {
    // The monotonic clock: the other one jumps.
    const now = performance.now();
    if (since) gathered = Math.min(gathered + now - since, MAX_MS - told);
    // A frame or a list of the page takes the focus from its window, not from its document.
    since = document.hasFocus() && !isHidden() && now;
  };
  const measure = () => {
    const percent = (100 * (scrollY + innerHeight)) / document.documentElement.scrollHeight;
    deepest = Math.max(deepest, Math.min(100, Math.round(percent)));
  };
  const tell = (isOver?: boolean) => {
    const isBeat = isOver == null;
    look();
    measure();
    if (gathered >= MIN_MS || (!isBeat && deepest > toldDepth)) {
      toldDepth = deepest;
      emitOfView("engagement", { engaged_ms: gathered | 0, scroll_percent: deepest }, +isBeat as 0 | 1);
      told += gathered;
      gathered = 0;
    }
    if (!isBeat) told = 0;
    if (isOver) gathered = deepest = toldDepth = 0;
  };
  on("visibilitychange focus blur", look);
  on("scroll", measure);
  look();
  ends.push(tell);
  setInterval(quietly, 1_000 * +(settings.heartbeat ?? HEARTBEAT_S) || MAX_MS, tell);
}
