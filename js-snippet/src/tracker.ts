/** Events of a page: made, checked against consent, and queued. */

import type { Config } from "./config";
import { engagement } from "./engagement";
import { hints } from "./hints";
import { uuidv7 } from "./ids";
import { watchInteractions } from "./interactions";
import { isHidden, watchNavigation, whenSeen } from "./navigation";
import { queue, type Entry } from "./queue";
import type { Api, BeforeSend, Consent, Options, Props, WireEvent } from "./types";
import { visitor } from "./visitor";

/** Version of the envelope. */
const ENVELOPE = 1;
const LIBRARY = "js/0.1.0";

/** Events kept in memory while the visitor has not decided. */
const MAX_UNDECIDED = 100;

/** Less time and no new depth is not worth an event. */
const MIN_ENGAGED_MS = 3_000;

/** What a call was made under; a call that waited for the script is told by its own page. */
export interface Context {
  url: string;
  title: string;
  referrer: string;
  time: number;
}

export function here(): Context {
  return { url: location.href, title: document.title, referrer: document.referrer, time: Date.now() };
}

export interface Tracker {
  /** The verbs of the global. */
  api: Api;
  trackAs(name: string, options: Options, context: Context, urgent: boolean): string | undefined;
  start(): void;
}

/** Makes a tracker; nothing is watched or sent before `start`. */
export function tracker(config: Config, beforeSend: () => BeforeSend | undefined): Tracker {
  let consent: Consent = config.consent;
  let pageViewId = uuidv7();
  let firstView = true;
  let previousUrl = "";
  let customId: string | undefined;
  let shared: Props = { ...config.props };
  let undecided: Entry[] = [];
  let reading: ReturnType<typeof engagement> | undefined;
  let sentDepth = 0;

  const who = visitor(config, () => consent === "granted");
  const known = hints();
  const envelope = (events: WireEvent[]) => ({
    v: ENVELOPE,
    site: config.site ?? undefined,
    sent_at: Date.now(),
    lib: LIBRARY,
    hints: known(),
    events,
  });
  const waiting = queue(config.endpoint, envelope);

  const make = (name: string, options: Options, context: Context): WireEvent => {
    const props = { ...shared, ...options.props };
    const event: WireEvent = {
      event_id: uuidv7(context.time),
      event_type: name,
      event_timestamp: context.time,
      page_url: options.url ?? context.url,
      page_view_id: pageViewId,
      page_title: context.title,
      page_language: document.documentElement.lang || undefined,
      browser_language: navigator.language,
      os_timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      screen_width: screen.width,
      screen_height: screen.height,
      user_custom_id: customId,
      revenue_amount: options.revenue?.amount,
      revenue_currency: options.revenue?.currency,
      ...who.ids(context.time),
    };
    // Only where the page was asked for consent is there something to say.
    if (config.consent !== "granted") event.consent = consent;
    if (Object.keys(props).length) event.props = props;
    return event;
  };

  const seal = (event: WireEvent, options: Options, urgent: boolean): string | undefined => {
    const isUnwanted = who.hasOptedOut() || consent === "denied";
    const hook = beforeSend();
    const sealed = isUnwanted ? null : hook ? hook(event) : event;
    if (!sealed) {
      options.callback?.("dropped");
      return undefined;
    }
    const entry = { event: sealed, callback: options.callback };
    if (consent === "unknown") {
      undecided.push(entry);
      undecided.splice(0, undecided.length - MAX_UNDECIDED);
    } else {
      waiting.add(entry, urgent);
    }
    return sealed.event_id;
  };

  const trackAs = (name: string, options: Options, context: Context, urgent: boolean) =>
    seal(make(name, options, context), options, urgent);

  /** Tells how the page was read since it was last told. */
  const tellReading = () => {
    if (!reading) return;
    const { engaged_ms, scroll_percent } = reading();
    if (engaged_ms < MIN_ENGAGED_MS && scroll_percent <= sentDepth) return;
    sentDepth = scroll_percent;
    const event = make("engagement", {}, here());
    seal({ ...event, page_url: previousUrl || event.page_url, engaged_ms, scroll_percent }, {}, false);
  };

  const pageAs = (options: Options, context: Context) => {
    pageViewId = uuidv7();
    const event = make("pageview", options, context);
    // The browser's referrer stays that of the landing; a later view comes from the view before.
    const referer = firstView ? context.referrer : previousUrl;
    if (referer) event.referer_url = referer;
    firstView = false;
    previousUrl = event.page_url;
    sentDepth = 0;
    reading?.();
    return seal(event, options, true);
  };

  const api: Api = {
    track: (name, options = {}) => trackAs(name, options, here(), false),
    page: (options = {}) => pageAs(options, here()),
    identify(id, traits) {
      customId = id ?? undefined;
      if (traits) shared = { ...shared, ...traits };
    },
    set(props) {
      shared = { ...shared, ...props };
    },
    reset() {
      customId = undefined;
      shared = { ...config.props };
      who.forget();
    },
    consent(state) {
      consent = state;
      const kept = undecided;
      if (state !== "unknown") undecided = [];
      if (state === "denied") who.forget();
      if (state === "granted") {
        for (const entry of kept) waiting.add({ ...entry, event: { ...entry.event, consent: state } }, false);
      }
    },
    optOut: (out = true) => who.optOut(out),
    flush: () => waiting.flush(),
    ids: () => ({ page_view_id: pageViewId, ...who.ids(Date.now()) }),
  };

  const start = () => {
    const { auto } = config;
    whenSeen(() => {
        if (auto.has("engagement")) reading = engagement();
        if (auto.has("pageviews")) {
          pageAs({}, here());
          // Read again a moment later: routers set the title after the address.
          watchNavigation(config, () => {
            tellReading();
            setTimeout(() => pageAs({}, here()));
          });
          // A page that comes back from the cache is seen again, whatever its address.
          addEventListener("pageshow", (event) => {
            if (event.persisted) pageAs({}, here());
          });
        }
        watchInteractions(auto, ({ name, options }) => trackAs(name, options, here(), true));
        const leave = () => {
          tellReading();
          waiting.flushLast();
        };
        // The last moment that mobile browsers are sure to tell; pagehide is the backstop.
        document.addEventListener("visibilitychange", () => {
          if (isHidden()) leave();
        });
        addEventListener("pagehide", leave);
    });
  };
  return { api, trackAs, start };
}
