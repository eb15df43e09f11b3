/**
 * The script that a page embeds:
 *
 *     <script defer src="https://collect.example.org/t.js"></script>
 *
 * One global, `weir`; calls made before the script came are told by the page they were made on.
 */

import { quietly } from "./quietly";
import { attributes } from "./settings";
import { api, replay, start, type Context } from "./tracker";
import type { Api, BeforeSend, Feature, Settings } from "./types";

type Verb = (...parameters: unknown[]) => unknown;

interface Global extends Api {
  (verb: keyof Api, ...parameters: unknown[]): unknown;
  beforeSend: BeforeSend | undefined;
  /** Calls that the stub kept: their parameters, and where they were made. */
  q?: [[keyof Api, ...unknown[]], Partial<Context>?][];
}

export function install(...features: Feature[]): void {
  quietly(() => {
    const global = window as unknown as { weir?: Global };
    const stub = global.weir;
    // A framework may run a page's scripts again (withastro/astro#7786).
    if (stub?.track) throw "loaded twice";
    // Only while the script runs; null afterwards.
    const script = document.currentScript as HTMLScriptElement | null;
    const settings: Settings = attributes(script, "data-weir-");
    settings.props = attributes(script, "data-weir-props-");
    settings.endpoint = new URL(settings.endpoint ?? "/collect", script?.src || location.href);
    const weir = ((verb, ...parameters) => quietly(() => (api[verb] as Verb)(...parameters))) as Global;
    for (const verb in api) weir[verb as keyof Api] = weir.bind(null, verb as keyof Api) as never;
    weir.beforeSend = stub?.beforeSend;
    global.weir = weir;
    start(settings, features, weir);
    for (const [parameters, made] of stub?.q ?? []) {
      replay(made);
      weir(...parameters);
    }
    replay();
  });
}
