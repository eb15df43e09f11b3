/**
 * The same tracker as a module, for who bundles the scripts of a site:
 *
 *     import { init, track, engagement } from "weir-snippet";
 *     init({ endpoint: "https://collect.example.org/collect" }, engagement);
 *     track("signup", { props: { plan: "pro" } });
 *
 * It watches page views and the features that it is given; what is not imported is not in the bundle.
 */

import * as engaged from "./engagement";
import * as failing from "./errors";
import * as hinting from "./hints";
import * as interacting from "./interactions";
import * as missing from "./not-found";
import * as later from "./offline";
import { quietly } from "./quietly";
import * as scrubbing from "./scrub";
import { api, start } from "./tracker";
import type { Api, Feature, Settings } from "./types.js";
import * as visiting from "./visitor";
import * as measuring from "./vitals";

export type * from "./types.js";

let isStarted = false;

/** Starts everything, once. Does nothing on a server; calls made before are told then. */
export const init: (settings?: Settings, ...features: Feature[]) => void = (settings = {}, ...features) =>
  quietly(() => {
    if (typeof document === "undefined") return;
    // Frameworks run effects twice while developing.
    if (isStarted) throw "started twice";
    isStarted = true;
    start({ ...settings, endpoint: new URL(settings.endpoint ?? "/collect", location.href) }, features);
  });

const verb = <V extends keyof Api>(name: V): Api[V] =>
  ((...parameters: unknown[]) => quietly(() => (api[name] as (...all: unknown[]) => unknown)(...parameters))) as Api[V];

export const track: Api["track"] = /* @__PURE__ */ verb("track");
export const page: Api["page"] = /* @__PURE__ */ verb("page");
export const identify: Api["identify"] = /* @__PURE__ */ verb("identify");
export const set: Api["set"] = /* @__PURE__ */ verb("set");
export const reset: Api["reset"] = /* @__PURE__ */ verb("reset");
export const consent: Api["consent"] = /* @__PURE__ */ verb("consent");
export const optOut: Api["optOut"] = /* @__PURE__ */ verb("optOut");
export const flush: Api["flush"] = /* @__PURE__ */ verb("flush");
export const ids: Api["ids"] = /* @__PURE__ */ verb("ids");

/** Reading time and scroll depth. */
export const engagement: Feature = engaged.engagement;
/** Outbound links, downloads, forms, tagged elements. */
export const interactions: Feature = interacting.interactions;
/** Visitor and session ids, where `storage` asks for them. */
export const visitor: Feature = visiting.visitor;
/** Client hints, and signs that a program drives the browser. */
export const clientHints: Feature = hinting.clientHints;
/** What `exclude` and `redact` ask for. */
export const scrub: Feature = scrubbing.scrub;
/** Web vitals, once a page load. */
export const vitals: Feature = measuring.vitals;
/** Uncaught errors of the page. */
export const errors: Feature = failing.errors;
/** `not_found`, where `status` is 404. */
export const notFound: Feature = missing.notFound;
/** Keeps events that could not be delivered, where `offline` asks for it. */
export const offline: Feature = later.offline;
