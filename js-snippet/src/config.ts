/** The settings of a page: attributes of the script tag. */

import { withPrefix } from "./attributes";
import type { Consent, Props } from "./types";

export interface Config {
  site: string | null;
  /** Where events are posted. */
  endpoint: string;
  /** What is watched without being asked. */
  auto: Set<string>;
  /** Whether the part after `#` tells pages apart. */
  hash: boolean;
  /** Query parameters that tell pages apart. */
  query: string[];
  /** Where ids are kept: "session" or "local"; without it none are. */
  storage: string | null;
  consent: Consent;
  props: Props;
}

const AUTO = "pageviews engagement outbound downloads forms";

/**
 * Reads the settings from the script's own tag. `script` must be taken while the script runs:
 * `document.currentScript` is null afterwards.
 */
export function readConfig(script: HTMLScriptElement | null): Config {
  const attribute = (name: string) => script?.getAttribute(`data-weir-${name}`) ?? null;
  const words = (text: string | null) => (text ?? "").split(/\s+/).filter(Boolean);
  return {
    site: attribute("site"),
    endpoint: new URL(attribute("endpoint") ?? "/collect", script?.src || location.href).href,
    auto: new Set(words(attribute("auto") ?? AUTO)),
    hash: attribute("hash") !== null,
    query: words(attribute("query")),
    storage: attribute("storage"),
    consent: (attribute("consent") ?? "granted") as Consent,
    props: script ? withPrefix(script, "data-weir-props-") : {},
  };
}
