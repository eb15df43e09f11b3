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
  referer_url?: string;
  page_language?: string | undefined;
  browser_language?: string;
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

/** What became of an event, as far as the page can know. */
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
export type BeforeSend = (event: WireEvent) => WireEvent | null;

/** The verbs of the global `weir`. */
export interface Api {
  track(name: string, options?: Options): string | undefined;
  page(options?: Options): string | undefined;
  identify(id: string | null, traits?: Props): void;
  set(props: Props): void;
  reset(): void;
  consent(state: Consent): void;
  optOut(out?: boolean): void;
  flush(): void;
  ids(): { page_view_id: string; user_domain_id?: string; session_id?: string };
}
