/**
 * The script that a page embeds:
 *
 *     <script defer src="https://collect.example.org/t.js"></script>
 *
 * One global, `weir`; calls made before the script came are told by the page they were made on.
 */

import { readConfig } from "./config";
import { here, tracker, type Context } from "./tracker";
import type { Api, BeforeSend, Options } from "./types";

/** A call that the stub kept: its parameters, and where it was made. */
type Kept = [Iterable<unknown>, Partial<Context>?];

type Global = ((verb: string, ...parameters: unknown[]) => unknown) &
  Partial<Api> & { beforeSend?: BeforeSend; q?: Kept[]; loaded?: boolean };

/** Nothing that happens here may reach the page as an exception. */
function quietly<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    console.warn("weir:", error);
    return undefined;
  }
}

quietly(() => {
  const page = window as unknown as { weir?: Global };
  const stub = page.weir;
  if (stub?.loaded) {
    console.warn("weir: loaded twice");
    return;
  }
  const script = document.currentScript as HTMLScriptElement | null;
  const own = tracker(readConfig(script), () => weir.beforeSend);
  const call = (verb: string, parameters: unknown[], made: Partial<Context> = {}) => {
    if (verb === "track") {
      const [name, options] = parameters;
      return own.trackAs(String(name), (options ?? {}) as Options, { ...here(), ...made }, false);
    }
    return (own.api[verb as keyof Api] as (...all: unknown[]) => unknown)(...parameters);
  };
  const weir: Global = (verb, ...parameters) => quietly(() => call(verb, parameters));
  for (const verb in own.api) {
    weir[verb as keyof Api] = ((...parameters: unknown[]) => weir(verb, ...parameters)) as never;
  }
  weir.loaded = true;
  if (stub?.beforeSend) weir.beforeSend = stub.beforeSend;
  page.weir = weir;
  own.start();
  for (const [[verb, ...parameters], made] of stub?.q ?? []) {
    quietly(() => call(String(verb), parameters, made));
  }
});
