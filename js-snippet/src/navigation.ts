/** Notices when the page becomes another one. */

import type { Config } from "./config";

/** What tells two pages apart: the path, the hash where it routes, and chosen query parameters. */
export function pageKey(address: string, config: Pick<Config, "hash" | "query">): string {
  const url = new URL(address);
  const query = config.query.map((name) => url.searchParams.get(name));
  // As JSON, so that no value looks like two.
  return JSON.stringify([url.pathname, query, config.hash && url.hash]);
}

/** Routers replace and push in one go; the last address within this time is the page. */
const COALESCE_MS = 50;

type NavigationLike = EventTarget & { currentEntry?: unknown };

/** Calls `arrived` after each navigation inside the document that leads to another page. */
export function watchNavigation(config: Config, arrived: () => void): void {
  let key = pageKey(location.href, config);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const next = pageKey(location.href, config);
      if (next === key) return;
      key = next;
      arrived();
    }, COALESCE_MS);
  };
  const navigation = (window as { navigation?: NavigationLike }).navigation;
  if (navigation?.addEventListener) {
    // Fires after the address has changed, for every way to change it.
    navigation.addEventListener("currententrychange", look);
    return;
  }
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    try {
      history[name] = function (this: History, ...parameters) {
        const result = original.apply(this, parameters);
        look();
        return result;
      };
    } catch {
      // A frozen history is watched by its events alone.
    }
  }
  for (const type of ["popstate", "hashchange"]) addEventListener(type, look);
}

/** Whether nobody can see the page. */
export const isHidden = () => document.visibilityState === "hidden";

/** Calls `start` once the page is looked at: not while it is prerendered or opened behind. */
export function whenSeen(start: () => void): void {
  const { prerendering } = document as { prerendering?: boolean };
  const change = prerendering ? "prerenderingchange" : isHidden() && "visibilitychange";
  if (change) document.addEventListener(change, () => whenSeen(start), { once: true });
  else start();
}
