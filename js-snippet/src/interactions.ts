/** Clicks and forms that are told without being asked. Values of inputs are never read. */

import { on } from "./quietly";
import { attributes, watches } from "./settings";
import { emit } from "./tracker";
import type { Options } from "./types";

const FILES = /\.(7z|apk|csv|dmg|(doc|ppt|xls)x?|exe|gz|mov|mp[34]|msi|pdf|pkg|rar|txt|zip)$/i;

const tell = (name: string, options: Options) => emit(name, options, 2);

/** The event that the page's author wrote on an element: `data-weir-event="signup"`. */
function tellTagged(element: Element): void {
  const { event, revenue = "" } = attributes(element, "data-weir-");
  // "12.50 EUR"
  const [amount, currency] = revenue.split(" ");
  tell(event!, {
    props: attributes(element, "data-weir-prop-"),
    ...(currency && { revenue: { amount: +amount!, currency } }),
  });
}

function tellClick(closest: (selector: string) => Element | undefined): void {
  const element = closest("[data-weir-event]:not(form)");
  if (element) return tellTagged(element);
  const link = closest("a[*|href]");
  if (!link) return;
  // By its attributes: an SVG link's property is an object, and its attribute may have a namespace.
  const { href, "xlink:href": address = href, download } = attributes(link, "");
  const url = new URL(address!, document.baseURI);
  const options = { props: { url: url.href } };
  if (!/^http/.test(url.protocol)) return;
  // By its path, never by its query.
  if (watches("downloads") && (download != null || FILES.test(url.pathname))) tell("download", options);
  else if (watches("outbound") && url.host !== location.host) tell("outbound_click", options);
}

function tellSubmission(form: Element): void {
  if (form.matches("[data-weir-event]")) return tellTagged(form);
  // By its attributes: a field may be named "id" or "action" and hide the form's own.
  const { id = "", action = "" } = attributes(form, "");
  if (watches("forms")) tell("form_submit", { props: { form_id: id, form_action: action } });
}

/**
 * One listener on the document, so that links that come later are seen too. It never holds up a
 * navigation: what it tells outlives the page.
 */
export function interactions(): void {
  on("click auxclick submit", (event) => {
    // Outwards, through shadow roots.
    const path = event.composedPath().filter((node) => node instanceof Element);
    const closest = (selector: string) => path.find((element) => element.matches(selector));
    if (closest("[data-weir-ignore]")) return;
    if (event.type === "submit") tellSubmission(path[0]!);
    // The middle button opens a tab; the right one a menu.
    else if ((event as MouseEvent).button < 2) tellClick(closest);
  });
}
