// Opens tabs and ends them at random moments in several ways, then counts what of them is in the
// store. Fails below the shares that the snippet promises.
//
//     TABS=300 SEED=1 node test/kill-tabs.mjs
import { eventually, startBrowser, startSite, startWeir } from "../../tests/browser/stage.mjs";
import { startProxy } from "../../tests/browser/proxy.mjs";

const TABS = Number(process.env.TABS ?? 300);
const SEED = Number(process.env.SEED ?? 1);
const AT_ONCE = 6;
/** A tab lives up to so long after its document is there. */
const MOST_MS = 3_000;

/** The ways to end, with the least shares of page views and of engagement that must arrive. */
const WAYS = {
  closed: { views: 0.99, engagement: 0.95, end: (page) => page.close() },
  navigated: { views: 0.99, engagement: 0.95, end: (page) => page.goto("about:blank") },
  crashed: { views: 0.95, end: (page) => page.goto("chrome://crash").catch(() => {}) },
  offline: {
    views: 0.99,
    engagement: 0.95,
    async end(page, context, chance) {
      await context.setOffline(true);
      await page.evaluate(() => void weir.track("while_offline"));
      await page.waitForTimeout(chance() * MOST_MS);
      await context.setOffline(false);
      await page.waitForTimeout(500);
      await page.close();
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
const site = await startSite(`<!doctype html><title>x</title><script defer src="${proxy.url}/t.js"></script><p style="height:4000px">x</p>`);
const browser = await startBrowser();
const chance = seeded(SEED);
const names = Object.keys(WAYS);

async function live(n) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${site.url}/${names[n % names.length]}/${n}`, { waitUntil: "domcontentloaded" });
  await page.waitForTimeout(chance() * MOST_MS);
  await WAYS[names[n % names.length]].end(page, context, chance);
  await context.close();
}

async function stored(type) {
  const answer = await fetch(`${weir.admin}/web-events-*/_search`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: { term: { event_type: type } }, size: 10_000 }),
  });
  const { hits } = await answer.json();
  return hits.hits.map(({ _source }) => new URL(_source.page_url).pathname);
}

const failures = [];
try {
  let next = 0;
  const worker = async () => {
    while (next < TABS) await live(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // All that the gateway took is in the store.
  const taken = new Set(proxy.accepted(site.url).map(({ event_id }) => event_id)).size;
  const total = async () => (await Promise.all(["pageview", "engagement", "while_offline"].map(stored))).flat().length;
  await eventually(`${taken} events in the store`, async () => (await total()) >= taken);

  const [views, engagement] = await Promise.all(["pageview", "engagement"].map(stored));
  const repeated = proxy.attempted(site.url).length - new Set(proxy.attempted(site.url).map(({ event_id }) => event_id)).size;
  console.log(`seed ${SEED}, ${TABS} tabs, ended up to ${MOST_MS} ms after their document was there`);
  console.log("way          tabs   page views   engagement   views more than once");
  for (const [name, { views: leastViews, engagement: leastEngagement = 0 }] of Object.entries(WAYS)) {
    const tabs = Array.from({ length: TABS }, (_, n) => n).filter((n) => names[n % names.length] === name);
    const of = (paths) => paths.filter((path) => path.startsWith(`/${name}/`));
    const share = (paths) => new Set(of(paths)).size / tabs.length;
    const twice = of(views).length - new Set(of(views)).size;
    const percent = (part) => `${(100 * part).toFixed(1)} %`.padStart(11);
    console.log(name.padEnd(10), String(tabs.length).padStart(6), percent(share(views)), ` ${percent(share(engagement))}`, String(twice).padStart(22));
    if (share(views) < leastViews || share(engagement) < leastEngagement || twice > 0) failures.push(name);
  }
  console.log(`sent again: ${repeated} events, stored once each`);
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
