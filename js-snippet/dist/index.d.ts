/**
 * The same tracker as a module, for who bundles the scripts of a site:
 *
 *     import { init, track, engagement } from "weir-snippet";
 *     init({ endpoint: "https://collect.example.org/collect" }, engagement);
 *     track("signup", { props: { plan: "pro" } });
 *
 * It watches page views and the features that it is given; what is not imported is not in the bundle.
 */
import type { Api, Feature, Settings } from "./types.js";
export type * from "./types.js";
/** Starts everything, once. Does nothing on a server; calls made before are told then. */
export declare const init: (settings?: Settings, ...features: Feature[]) => void;
export declare const track: Api["track"];
export declare const page: Api["page"];
export declare const identify: Api["identify"];
export declare const set: Api["set"];
export declare const reset: Api["reset"];
export declare const consent: Api["consent"];
export declare const optOut: Api["optOut"];
export declare const flush: Api["flush"];
export declare const ids: Api["ids"];
/** Reading time and scroll depth. */
export declare const engagement: Feature;
/** Outbound links, downloads, forms, tagged elements. */
export declare const interactions: Feature;
/** Visitor and session ids, where `storage` asks for them. */
export declare const visitor: Feature;
/** Client hints, and signs that a program drives the browser. */
export declare const clientHints: Feature;
/** What `exclude` and `redact` ask for. */
export declare const scrub: Feature;
/** Web vitals, once a page load. */
export declare const vitals: Feature;
/** Uncaught errors of the page. */
export declare const errors: Feature;
/** `not_found`, where `status` is 404. */
export declare const notFound: Feature;
/** Keeps events that could not be delivered, where `offline` asks for it. */
export declare const offline: Feature;
