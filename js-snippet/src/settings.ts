/** The settings of the page. */

import type { Settings } from "./types";

export let settings: Settings = {};

export const configure = (given: Settings) => (settings = given);

/** Whether `what` is watched. */
export const watches = (what: string) => (settings.auto ?? what).includes(what);

export const words = (text = "") => text.split(/\s+/);

/** The attributes of `element` whose names begin with `prefix`, under the rest of their names. */
export function attributes(element: Element | null, prefix: string): Record<string, string> {
  // Without a prototype, which a page may have filled.
  const found = { __proto__: null } as unknown as Record<string, string>;
  for (const { name, value } of element?.attributes ?? []) {
    if (name.startsWith(prefix)) found[name.slice(prefix.length)] = value;
  }
  return found;
}
