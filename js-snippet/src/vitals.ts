/**
 * How fast the page felt: LCP, CLS, INP, FCP and TTFB as https://web.dev/vitals defines them, told
 * once a page load, when the page is first hidden or left. A navigation inside the document is no
 * load, and starts nothing anew: observers cannot be taken back (GoogleChrome/web-vitals#629).
 */

import { ends } from "./hooks";
import { isHidden, isPrerendered } from "./lifecycle";
import { soon } from "./quietly";
import { watches } from "./settings";
import { emitOfView } from "./tracker";
import type { Props } from "./types";

interface Timing extends PerformanceEntry {
  /** Of a shift of the layout. */
  value: number;
  hadRecentInput: boolean;
  /** Of an event; 0 where it is part of no interaction. */
  interactionId: number;
  /** Of a navigation. */
  responseStart: number;
  activationStart?: number;
}

/** A burst of layout shifts: gaps below a second, and five seconds in all. */
const GAP_MS = 1_000;
const BURST_MS = 5_000;

/** Of so many interactions one may be slow by chance. */
const INTERACTIONS_PER_OUTLIER = 50;

let worst = 0;
let sum = 0;
let first = 0;
let last = 0;

/** Adds a shift of the layout; returns the largest burst so far. */
export function addShift({ value, startTime }: Pick<Timing, "value" | "startTime">): number {
  if (startTime - last > GAP_MS || startTime - first > BURST_MS) {
    sum = 0;
    first = startTime;
  }
  last = startTime;
  sum += value;
  return (worst = Math.max(worst, sum));
}

/** The duration that stands for all interactions: the longest, but for one in fifty. */
export const typicalWorst = (durations: number[]): number | undefined =>
  durations.sort((a, b) => b - a)[(durations.length / INTERACTIONS_PER_OUTLIER) | 0];

export function vitals(): void {
  // A page that loads in the background waits for its first look, whatever its speed.
  if (!watches("vitals") || (isHidden() && !isPrerendered())) return;
  // What happens until then is buffered.
  soon(() => {
    const load = performance.getEntriesByType("navigation")[0] as Timing;
    const durations: Record<number, number> = {};
    let lcp: number | undefined;
    let fcp: number | undefined;
    // Where shifts cannot be seen, none seen says nothing.
    let cls = (window as { LayoutShift?: object }).LayoutShift && 0;
    let isTold = false;
    // A prerendered page starts, for who looks at it, when it is shown.
    const since = (time: number) => Math.max(0, Math.round(time - (load.activationStart || 0)));
    const observe = (type: string, seen: (entry: Timing) => void) =>
      new PerformanceObserver((list) => (list.getEntries() as Timing[]).forEach(seen)).observe({
        type,
        buffered: true,
        durationThreshold: 40,
      } as PerformanceObserverInit);
    observe("largest-contentful-paint", ({ startTime }) => (lcp = since(startTime)));
    // The first paint comes first, and the first with content last.
    observe("paint", ({ startTime }) => (fcp = since(startTime)));
    observe("layout-shift", (shift) => {
      if (!shift.hadRecentInput) cls = addShift(shift);
    });
    observe("event", ({ interactionId: id, duration }) => {
      if (id && !(durations[id]! > duration)) durations[id] = duration;
    });
    ends.push(() => {
      if (isTold) return;
      isTold = true;
      const props = { lcp, fcp, cls, inp: typicalWorst(Object.values(durations)), ttfb: since(load.responseStart) };
      emitOfView("web_vitals", { props: props as Props });
    });
  });
}
