/** What the snippet sends and what pages may say to it. */

/** A property's value: flat, so that it can be searched. */
export type Prop = string | number | boolean;

/** Properties of an event. */
export type Props = Record<string, Prop>;

/** An event on the wire; names as in the field table of Weir. */
export interface WireEvent {
  event_id: string;
  event_type: string;
  /** Milliseconds since 1970 by the browser's clock. */
  event_timestamp: number;
  page_url: string;
  page_view_id: string;
  page_title?: string;
  referer_url?: string | undefined;
  page_language?: string | undefined;
  os_timezone?: string;
  screen_width?: number;
  screen_height?: number;
  engaged_ms?: number;
  scroll_percent?: number;
  revenue_amount?: number | undefined;
  revenue_currency?: string | undefined;
  consent?: Consent;
  user_custom_id?: string | undefined;
  user_domain_id?: string;
  session_id?: string;
  props?: Props;
}

/** Whether the visitor agreed. */
export type Consent = "granted" | "denied" | "unknown";

/** What became of an event: accepted by the gateway, or given up. */
export type Result = "sent" | "dropped";

/** What may accompany an event. */
export interface Options {
  props?: Props;
  revenue?: { amount: number; currency: string };
  /** Another address than the page's, for pages that hide theirs. */
  url?: string;
  callback?: (result: Result) => void;
}

/** The hook that sees every event before it is queued; `null` drops it. */
export type BeforeSend = (event: WireEvent) => WireEvent | null | undefined;

/** The settings of a page: attributes `data-weir-NAME` of the script tag, or `init(..)`. */
export interface Settings {
  /** Written into each event as `site`. */
  site?: string;
  /** Where events are posted; by default `/collect` beside the script. */
  endpoint?: string | URL;
  /** What is watched without being asked, by words; by default all that the file brings. */
  auto?: string;
  /** Seconds of reading after which it is told that the page is read on; 0 tells it at the end, or after 20 minutes. */
  heartbeat?: string | number;
  /** Whether the part after `#` tells pages apart. */
  hash?: string | boolean;
  /** Query parameters that tell pages apart, by words. */
  query?: string;
  /** Where visitor and session ids are kept: `session` or `local`; by default none are. */
  storage?: string;
  /** `unknown` where the visitor is asked first. */
  consent?: Consent;
  /** Beginnings of paths of pages that tell nothing, by words. */
  exclude?: string;
  /** Query parameters whose values are taken out of addresses, by words. */
  redact?: string;
  /** Keeps events that could not be delivered for the next page. */
  offline?: string | boolean;
  /** The status that the page was answered with: `404` tells `not_found`. */
  status?: string | number;
  /** Properties of every event. */
  props?: Props;
  beforeSend?: BeforeSend;
}

/** Ids in use. */
export interface Ids {
  page_view_id: string;
  user_domain_id?: string;
  session_id?: string;
}

/** The verbs of the global `weir`. */
export interface Api {
  track(name: string, options?: Options): string;
  page(options?: Options): string;
  identify(id: string | null, traits?: Props): void;
  set(props: Props | (() => Props)): void;
  reset(): void;
  consent(state: Consent): void;
  optOut(out?: boolean): void;
  flush(): void;
  ids(): Ids;
}

/** Something that watches the page. Files bring different ones; `init(..)` takes those it is given. */
export type Feature = () => void;
