// Opens tabs and ends them at random moments in several ways, then counts what of them is in the
// store. Fails below the shares that the snippet promises.
//
//     TABS=300 SEED=1 node test/kill-tabs.mjs
import { startPlainChromium } from "./browser/plain-chromium.mjs";
import { startProxy } from "../../tests/browser/proxy.mjs";
import { eventually, startBrowser, startSite, startWeir } from "../../tests/browser/stage.mjs";

const TABS = Number(process.env.TABS ?? 300);
const SEED = Number(process.env.SEED ?? 1);
const AT_ONCE = 5;
/** A tab lives up to so long after its document is there, */
const MOST_MS = 3_000;
/** and one that cannot tell its end up to so long: some heartbeats. */
const MOST_UNTOLD_MS = 16_000;
/** The heartbeat is shorter than usual, so that the run is. */
const HEARTBEAT_S = 4;
/** A heartbeat waits a second for company; and it counts from the script on, not from the document. */
const HEARD_MS = 1_000 * (HEARTBEAT_S + 2);

/**
 * How a tab ends that is one of many in a browser, and what happens to it before; answers how long it
 * was read until its end began.
 */
const tab = (end, mostMs = MOST_MS, happen = async () => {}) => async (address, chance) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address, { waitUntil: "domcontentloaded" });
  const since = performance.now();
  await page.waitForTimeout(chance() * mostMs);
  await happen(page, context, chance);
  const lived = performance.now() - since;
  await end(page);
  await context.close();
  return lived;
};

/**
 * The ways to end, with the least shares of page views and of engagement that must arrive. A tab that
 * cannot tell its end must have told by heartbeats that it was read, if it lived to have one.
 */
const WAYS = {
  closed: { views: 0.99, engagement: 0.95, live: tab((page) => page.close()) },
  navigated: { views: 0.99, engagement: 0.95, live: tab((page) => page.goto("about:blank")) },
  offline: {
    views: 0.99,
    engagement: 0.95,
    live: tab((page) => page.close(), MOST_MS, async (page, context, chance) => {
      await context.setOffline(true);
      await page.evaluate(() => void weir.track("while_offline"));
      await page.waitForTimeout(chance() * MOST_MS);
      await context.setOffline(false);
      await page.waitForTimeout(chance() * MOST_MS);
    }),
  },
  // The process of the page ends, in the middle of anything.
  crashed: { views: 0.95, engagement: 0.95, isUntold: true, live: tab((page) => page.goto("chrome://crash").catch(() => {}), MOST_UNTOLD_MS) },
  // All processes of the browser end, those that carry its requests too.
  killed: {
    views: 0.95,
    engagement: 0.95,
    isUntold: true,
    async live(address, chance) {
      const chromium = startPlainChromium(address);
      try {
        await site.asked(`/there${new URL(address).pathname}`);
        const lived = chance() * MOST_UNTOLD_MS;
        await new Promise((resolve) => setTimeout(resolve, lived));
        return lived;
      } finally {
        await chromium.stop();
      }
    },
  },
};

/** Chance that can be had again (mulberry32). */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const weir = await startWeir();
const proxy = await startProxy(weir.url, process.env.SCRIPTS && new URL(`../${process.env.SCRIPTS}/`, import.meta.url));
const site = await startSite(`<!doctype html><title>x</title><script defer src="${proxy.url}/t.js" data-weir-heartbeat="${HEARTBEAT_S}"></script>
  <script>addEventListener("DOMContentLoaded",()=>fetch("/there"+location.pathname))</script><p style="height:4000px">x</p>`);
const browser = await startBrowser();
const chance = seeded(SEED);
const names = Object.keys(WAYS);
const way = (n) => names[n % names.length];
/** How long each tab was read, by its path. */
const lives = new Map();
const distinct = (list) => new Set(list).size;

/** What the store holds of a type: a path and an id each. */
async function stored(type) {
  const answer = await fetch(`${weir.admin}/web-events-*/_search`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: { term: { event_type: type } }, size: 10_000 }),
  });
  const { hits } = await answer.json();
  return hits.hits.map(({ _source }) => ({ path: new URL(_source.page_url).pathname, id: _source.event_id, ms: _source.engaged_ms }));
}

const failures = [];
try {
  let next = 0;
  const worker = async () => {
    while (next < TABS) {
      const n = next++;
      const path = `/${way(n)}/${n}`;
      lives.set(path, await WAYS[way(n)].live(site.url + path, chance));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // All that the gateway took is in the store.
  const types = ["pageview", "engagement", "while_offline"];
  const taken = proxy.accepted(site.url).map(({ event_id }) => event_id);
  const total = async () => (await Promise.all(types.map(stored))).flat().length;
  await eventually(`${distinct(taken)} events in the store`, async () => (await total()) >= distinct(taken));

  const [views, engagement, offline] = await Promise.all(types.map(stored));
  const percent = (part) => `${(100 * part).toFixed(1)} %`.padStart(13);
  console.log(`seed ${SEED}, ${TABS} tabs, ended up to ${MOST_MS} or ${MOST_UNTOLD_MS} ms after their document was there`);
  console.log(`engagement: tabs that told it, of the crashed and killed ones those that lived ${HEARD_MS} ms; a heartbeat every ${HEARTBEAT_S} s`);
  console.log("way          tabs   page views   engagement    time told   views twice");
  for (const [name, { views: leastViews, engagement: leastEngagement, isUntold }] of Object.entries(WAYS)) {
    const tabs = [...lives.keys()].filter((path) => path.startsWith(`/${name}/`));
    const heard = tabs.filter((path) => !isUntold || lives.get(path) >= HEARD_MS);
    const share = (events, tabs) => tabs.filter((tab) => events.some(({ path }) => path === tab)).length / tabs.length;
    const [viewed, engaged] = [share(views, tabs), share(engagement, heard)];
    const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
    const time = sum(engagement.filter(({ path }) => tabs.includes(path)).map(({ ms }) => ms)) / sum(tabs.map((path) => lives.get(path)));
    const seen = views.map(({ path }) => path).filter((path) => tabs.includes(path));
    const twice = seen.length - distinct(seen);
    console.log(name.padEnd(10) + String(tabs.length).padStart(7) + percent(viewed) + percent(engaged) + percent(time) + String(twice).padStart(14));
    if (viewed < leastViews || engaged < leastEngagement || twice > 0) failures.push(name);
  }
  const all = [...views, ...engagement, ...offline];
  const duplicates = all.length - distinct(all.map(({ id }) => id));
  console.log(`while offline: ${offline.length} events of ${[...lives.keys()].filter((path) => path.startsWith("/offline/")).length} tabs`);
  console.log(`sent more than once: ${taken.length - distinct(taken)} events; ids more than once in the store: ${duplicates}`);
  if (duplicates) failures.push("duplicates");
} finally {
  await browser.close();
  await site.stop();
  await proxy.stop();
  await weir.stop();
}
if (failures.length) {
  console.error(`below the promise: ${failures.join(", ")}`);
  process.exitCode = 1;
}
