// What a site's bundle holds of each tracker, used for page views and own events: bundled and minified
// by the same tools in the same way.
import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { minify } from "terser";

const USES = {
  "weir { init, track }": 'import { init, track } from "../dist/index.js"; init({ site: "shop" }); track("signup");',
  "weir, every feature":
    'import * as weir from "../dist/index.js"; weir.init({ site: "shop" }, weir.scrub, weir.visitor, weir.clientHints, weir.engagement, weir.interactions, weir.vitals, weir.errors, weir.notFound, weir.offline); weir.track("signup");',
  "@plausible-analytics/tracker":
    'import { init, track } from "@plausible-analytics/tracker"; init({ domain: "a.example" }); track("signup", {});',
  "web-vitals, all five":
    'import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals"; for (const on of [onCLS, onFCP, onINP, onLCP, onTTFB]) on(console.log);',
  "@snowplow/browser-tracker":
    'import { newTracker, trackPageView, trackStructEvent } from "@snowplow/browser-tracker"; newTracker("t", "a.example"); trackPageView(); trackStructEvent({ category: "a", action: "b" });',
  "posthog-js": 'import posthog from "posthog-js"; posthog.init("key", {}); posthog.capture("signup");',
};

const version = (name) => {
  try {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
  } catch {
    return "";
  }
};

/** Each tracker's name with its version, and its bytes. */
export async function* bundles() {
  for (const [name, contents] of Object.entries(USES)) {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: import.meta.dirname },
      bundle: true,
      write: false,
      format: "esm",
      target: "es2021",
      minify: true,
      legalComments: "none",
    });
    const { code } = await minify(outputFiles[0].text, { module: true, compress: { passes: 2 }, format: { comments: false } });
    yield [`${name} ${version(name.split(",")[0])}`.trim(), Buffer.from(code)];
  }
}
