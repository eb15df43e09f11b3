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
/** A tab lives up to so long after its document is there. */
const MOST_MS = 3_000;

/** How a tab ends that is one of many in a browser. */
const tab = (end) => async (address, chance) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address, { waitUntil: "domcontentloaded" });
  await page.waitForTimeout(chance() * MOST_MS);
  await end(page, context, chance);
  await context.close();
};

/** The ways to end, with the least shares of page views and of engagement that must arrive. */
const WAYS = {
  closed: { views: 0.99, engagement: 0.95, live: tab((page) => page.close()) },
  navigated: { views: 0.99, engagement: 0.95, live: tab((page) => page.goto("about:blank")) },
  offline: {
    views: 0.99,
    engagement: 0.95,
    live: tab(async (page, context, chance) => {
      await context.setOffline(true);
      await page.evaluate(() => void weir.track("while_offline"));
      await page.waitForTimeout(chance() * MOST_MS);
      await context.setOffline(false);
      await page.waitForTimeout(chance() * MOST_MS);
      await page.close();
    }),
  },
  // The process of the page ends, in the middle of anything; nothing is left that could tell how
  // long it was read.
  crashed: { views: 0.95, live: tab((page) => page.goto("chrome://crash").catch(() => {})) },
  // All processes of the browser end, those that carry its requests too.
  killed: {
    views: 0.95,
    async live(address, chance) {
      const chromium = startPlainChromium(address);
      try {
        await site.asked(`/there${new URL(address).pathname}`);
        await new Promise((resolve) => setTimeout(resolve, chance() * MOST_MS));
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
const site = await startSite(`<!doctype html><title>x</title><script defer src="${proxy.url}/t.js"></script>
  <script>addEventListener("DOMContentLoaded",()=>fetch("/there"+location.pathname))</script><p style="height:4000px">x</p>`);
const browser = await startBrowser();
const chance = seeded(SEED);
const names = Object.keys(WAYS);
const way = (n) => names[n % names.length];
const tabsOf = (name) => Array.from({ length: TABS }, (_, n) => way(n)).filter((way) => way === name).length;
const distinct = (list) => new Set(list).size;

/** What the store holds of a type: a path and an id each. */
async function stored(type) {
  const answer = await fetch(`${weir.admin}/web-events-*/_search`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: { term: { event_type: type } }, size: 10_000 }),
  });
  const { hits } = await answer.json();
  return hits.hits.map(({ _source }) => ({ path: new URL(_source.page_url).pathname, id: _source.event_id }));
}

const failures = [];
try {
  let next = 0;
  const worker = async () => {
    while (next < TABS) {
      const n = next++;
      await WAYS[way(n)].live(`${site.url}/${way(n)}/${n}`, chance);
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
  console.log(`seed ${SEED}, ${TABS} tabs, ended up to ${MOST_MS} ms after their document was there`);
  console.log("way          tabs   page views   engagement   views twice");
  for (const [name, { views: leastViews, engagement: leastEngagement = 0 }] of Object.entries(WAYS)) {
    const tabs = tabsOf(name);
    const of = (events) => events.map(({ path }) => path).filter((path) => path.startsWith(`/${name}/`));
    const share = (events) => distinct(of(events)) / tabs;
    const twice = of(views).length - distinct(of(views));
    console.log(name.padEnd(10) + String(tabs).padStart(7) + percent(share(views)) + percent(share(engagement)) + String(twice).padStart(14));
    if (share(views) < leastViews || share(engagement) < leastEngagement || twice > 0) failures.push(name);
  }
  const all = [...views, ...engagement, ...offline];
  const duplicates = all.length - distinct(all.map(({ id }) => id));
  console.log(`while offline: ${offline.length} events of ${tabsOf("offline")} tabs`);
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
