/** Clicks and forms that are told without being asked. Values of inputs are never read. */

import { withPrefix } from "./attributes";
import type { Options, Props } from "./types";

const FILES = /\.(7z|apk|avi|csv|dmg|docx?|epub|exe|gz|iso|mov|mp[34]|msi|pdf|pkg|pptx?|rar|tar|txt|wav|xlsx?|zip)$/i;

export interface Found {
  name: string;
  options: Options;
}

/** An SVG link's address is an object. */
function address(link: Element): URL | null {
  const href = (link as HTMLAnchorElement).href as string | { baseVal: string };
  try {
    return new URL(typeof href === "string" ? href : href.baseVal, location.href);
  } catch {
    return null;
  }
}

/** The event that the page's author wrote on an element: `data-weir-event="signup"`. */
function tagged(element: Element): Found {
  // "12.50 EUR"
  const [amount, currency] = (element.getAttribute("data-weir-revenue") ?? "").split(" ");
  return {
    name: element.getAttribute("data-weir-event")!,
    options: {
      props: withPrefix(element, "data-weir-prop-"),
      ...(currency && { revenue: { amount: +amount!, currency } }),
    },
  };
}

/** What a click on `target` tells; `null` for nothing. */
export function ofClick(target: EventTarget | null, auto: Set<string>): Found | null {
  if (!(target instanceof Element) || target.closest("[data-weir-ignore]")) return null;
  const element = target.closest("[data-weir-event]");
  if (element && !(element instanceof HTMLFormElement)) return tagged(element);
  const link = target.closest("a");
  const url = link && address(link);
  if (!url || !/^https?:$/.test(url.protocol)) return null;
  const isDownload = link!.hasAttribute("download") || FILES.test(url.pathname);
  if (isDownload && auto.has("downloads")) return { name: "download", options: { props: { url: url.href } } };
  if (url.host !== location.host && auto.has("outbound")) {
    return { name: "outbound_click", options: { props: { url: url.href } } };
  }
  return null;
}

/** What a submitted form tells: its name and where it goes. */
export function ofSubmit(target: EventTarget | null, auto: Set<string>): Found | null {
  if (!(target instanceof HTMLFormElement) || target.closest("[data-weir-ignore]")) return null;
  if (target.hasAttribute("data-weir-event")) return tagged(target);
  if (!auto.has("forms")) return null;
  // As attributes: a form's fields may be named "id" or "action" and hide the form's own.
  const props: Props = {};
  for (const name of ["id", "action"]) props[`form_${name}`] = target.getAttribute(name) ?? "";
  return { name: "form_submit", options: { props } };
}

/** One listener for each kind, on the document: links that come later are seen too. */
export function watchInteractions(auto: Set<string>, found: (what: Found) => void): void {
  const listener = (event: Event) => {
    // The middle button opens a tab; the right one a menu.
    if (event.type === "auxclick" && (event as MouseEvent).button !== 1) return;
    const target = event.composedPath()[0]!;
    const what = event.type === "submit" ? ofSubmit(target, auto) : ofClick(target, auto);
    if (what) found(what);
  };
  for (const type of ["click", "auxclick", "submit"]) document.addEventListener(type, listener, true);
}
