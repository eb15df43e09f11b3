/** Notices when the page becomes another one. */

import { on, quietly } from "./quietly";
import { settings, words } from "./settings";

/** What tells two pages apart: the path, the hash where it routes, and chosen query parameters. */
export function pageKey(address: string): string {
  const { pathname, searchParams, hash } = new URL(address);
  // As JSON, so that no value looks like two.
  return JSON.stringify([
    pathname,
    words(settings.query).map((name) => searchParams.get(name)),
    settings.hash != null && hash,
  ]);
}

/**
 * Routers replace and push in one go (vuejs/router#960), and redirect by replacing: the last
 * address within this time is the page. Its title, too, comes after its address.
 */
const COALESCE_MS = 50;

/** Some pages are never idle: a view waits no longer for them. */
const RENDER_MS = 500;

/**
 * Calls `arrived` after each navigation inside the document that leads to another page. Returns a
 * function that does not wait for the rest of the time, for a page that is left.
 */
export function watchNavigation(arrived: () => void): () => void {
  let address = location.href;
  let timer: ReturnType<typeof setTimeout>;
  const settle = () => {
    const before = pageKey(address);
    if (before !== pageKey((address = location.href))) arrived();
  };
  const look = () => {
    clearTimeout(timer);
    // On a slow device a router may still be at it then: what renders comes before what is idle.
    timer = setTimeout(() => (window.requestIdleCallback ?? quietly)(() => quietly(settle), { timeout: RENDER_MS }), COALESCE_MS);
  };
  const { navigation } = window as { navigation?: EventTarget };
  if (navigation) {
    // Fires once the address has changed, for every way to change it, and leaves `history` alone.
    navigation.addEventListener("currententrychange", look);
  } else {
    for (const name of ["pushState", "replaceState"] as const) {
      const original = history[name];
      // A frozen history stays as it is, and is watched by its events alone. It looks later, so a
      // refusal is no view. The answer may be that of another wrapper.
      Reflect.set(history, name, (...parameters: Parameters<typeof original>) => (look(), original.apply(history, parameters)));
    }
    // Also where only the hash changes, by a link or a script.
    on("popstate", look);
  }
  return settle;
}
