/** Where features take part in what the tracker does. */

import type { WireEvent } from "./types";

/** Each completes an event that may be sent; `true` drops it. */
export const stamps: ((event: WireEvent) => boolean | void)[] = [];

/** Called when a page view is over, or may be, for the page is hidden. What they tell goes at once. */
export const ends: ((isOver: boolean) => void)[] = [];

/** Called to forget the visitor. */
export const forgets: (() => void)[] = [];

/** What is said of the sender with each request. */
export const hints: Record<string, unknown> = {};
