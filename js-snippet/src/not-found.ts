/** Pages that are not there. */

import { settings } from "./settings";
import { emit } from "./tracker";

/**
 * Tells `not_found` where the page says so by `data-weir-status="404"`: a script cannot see its
 * page's status in every browser.
 */
export function notFound(): void {
  if (settings.status == 404) emit("not_found");
}
