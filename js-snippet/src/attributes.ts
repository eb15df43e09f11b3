/** Properties written as attributes. */

import type { Props } from "./types";

/** The attributes of `element` whose names begin with `prefix`, under the rest of their names. */
export function withPrefix(element: Element, prefix: string): Props {
  const props: Props = {};
  for (const { name, value } of element.attributes) {
    if (name.startsWith(prefix)) props[name.slice(prefix.length)] = value;
  }
  return props;
}
