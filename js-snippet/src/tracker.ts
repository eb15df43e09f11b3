/** Events of a page: made, held for consent, completed, and queued. */

import { ends, forgets, stamps } from "./hooks";
import { uuidv7 } from "./ids";
import { isHidden, isPrerendered } from "./lifecycle";
import { watchNavigation } from "./navigation";
import * as queue from "./queue";
import { on, quietly, soon } from "./quietly";
import { configure, settings, watches } from "./settings";
import { touch } from "./storage";
import type { Api, BeforeSend, Consent, Feature, Ids, Options, Props, Settings, WireEvent } from "./types";

const OPT_OUT = "weir.o";

/** What a call was made under. */
export interface Context {
  url: string;
  title: string;
  referrer: string;
  time: number;
}

interface Clock {
  Now: { timeZoneId(): string };
}

interface Hook {
  beforeSend?: BeforeSend | undefined;
}

/** A call that waited for the script is told by the page that it was made on. */
let replayed: Partial<Context> | undefined;

export const replay = (made?: Partial<Context>) => (replayed = made);

const here = (): Context => ({
  url: location.href,
  title: document.title,
  referrer: document.referrer,
  time: Date.now(),
  ...replayed,
});

/** Before the start nobody has decided, so calls are held. */
let consent: Consent = "unknown";
const held: queue.Entry[] = [];
/** Where the page's hook is looked up, at each event: it may be set at any time. */
let hook: Hook;
let customId: string | undefined;
let shared: Props | undefined;
let computed: (() => Props) | undefined;
let viewId = "";
/** The view that is under way. */
let view: Context | undefined;

/** Tells an event. `more` are members that only features set. */
export function emit(
  name: string,
  options: Options = {},
  urgency: queue.Urgency = 1,
  more?: Partial<WireEvent>,
  context: Context = here(),
): string {
  const event: WireEvent = {
    event_id: uuidv7(context.time),
    event_type: name,
    event_timestamp: context.time,
    page_url: (context.url = options.url ?? context.url),
    page_view_id: (viewId ||= uuidv7()),
    page_title: context.title,
    user_custom_id: customId,
    revenue_amount: options.revenue?.amount,
    revenue_currency: options.revenue?.currency,
    props: { ...shared, ...computed?.(), ...options.props },
    ...more,
  };
  held.push({ _event: event, _callback: options.callback, _urgency: urgency });
  // On a page that is hidden there may be no other turn.
  if (urgency && !isHidden()) soon(release);
  else release();
  return event.event_id;
}

/** Completes an event and writes it down, where it may be sent; answers nothing where it may not. */
function seal(entry: queue.Entry): unknown {
  const event = entry._event;
  // The page's hook may fail on an event, which might tell too much then, and so may JSON.
  const text = quietly(() => {
    event.page_language = document.documentElement.lang || undefined;
    event.screen_width = screen.width;
    event.screen_height = screen.height;
    // `Intl` takes tens of milliseconds to say the same for the first time.
    event.os_timezone = (window as { Temporal?: Clock }).Temporal?.Now.timeZoneId() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    // Where nobody is asked there is nothing to say.
    if (settings.consent) event.consent = consent;
    const sealed =
      consent !== "denied" &&
      !touch("localStorage", (storage) => storage.getItem(OPT_OUT)) &&
      !stamps.some((stamp) => stamp(event)) &&
      (hook.beforeSend ? hook.beforeSend(event) : event);
    return sealed && JSON.stringify(sealed);
  });
  if (text) entry._text = text;
  else queue.settle([entry], "dropped");
  return text;
}

/** Queues what was told, and goes on holding it where nobody knows whether it may be sent. */
function release(): void {
  // A page that is loaded in case it is wanted may never be looked at.
  if (consent === "unknown" || isPrerendered()) return queue.limit(held);
  queue.add(held.splice(0).filter(seal));
}

const endView = (isOver: boolean) => view && ends.forEach((end) => end(isOver));
const forget = () => forgets.forEach(quietly);

/** Tells a page view: the one before ends, and what follows belongs to it. */
function page(options: Options = {}): string {
  const context = here();
  endView(true);
  // Calls before the first view belong to it.
  if (view) viewId = uuidv7();
  // The browser's referrer stays that of the landing; a later view comes from the view before.
  const referer_url = (view?.url ?? context.referrer) || undefined;
  view = context;
  return emit("pageview", options, 2, { referer_url }, context);
}

/** Tells something of the view under way, whatever the address is by now. */
export const emitOfView = (name: string, more: Partial<WireEvent>, urgency: queue.Urgency = 0) =>
  view && emit(name, {}, urgency, more, { ...view, time: Date.now() });

export const api: Api = {
  track: (name, options) => emit(`${name}`, options),
  page,
  identify(id, traits) {
    customId = id || undefined;
    api.set(traits!);
  },
  set(props) {
    if (typeof props === "function") computed = props;
    else shared = { ...shared, ...props };
  },
  reset() {
    // What was told before is of the visitor before.
    release();
    customId = computed = undefined;
    shared = settings.props!;
    forget();
  },
  consent(state) {
    // What was told under another decision follows that one.
    release();
    consent = state;
    if (state === "denied") forget();
    release();
  },
  optOut(out = true) {
    touch("localStorage", (storage) => storage.setItem(OPT_OUT, (out || "") as string));
  },
  flush() {
    release();
    queue.flush();
  },
  ids() {
    const ids = { page_view_id: viewId };
    stamps.forEach((stamp) => stamp(ids as WireEvent));
    return ids as Ids;
  },
};

/** Starts everything; nothing is watched or sent before. */
export function start(given: Settings, features: Feature[], hooked: Hook = given): void {
  let settleNavigation: (() => void) | undefined;
  configure(given);
  hook = hooked;
  consent = given.consent ?? "granted";
  queue.open();
  shared = { ...given.props, ...shared };
  features.forEach(quietly);
  const leave = () => {
    settleNavigation?.();
    endView(false);
    release();
    queue.leave();
  };
  const look = () => {
    // The last moment that mobile browsers are sure to tell (w3c/page-visibility#59).
    if (isHidden()) return leave();
    release();
    if (watches("pageviews")) settleNavigation ??= (page(), watchNavigation(page));
  };
  on("visibilitychange prerenderingchange", look);
  // The backstop. Never `unload`, which keeps a page out of the back/forward cache.
  on("pagehide", leave);
  // A page that comes back from that cache is seen again, whatever its address.
  on("pageshow", (event) => {
    if ((event as PageTransitionEvent).persisted && settleNavigation) page();
  });
  look();
}
