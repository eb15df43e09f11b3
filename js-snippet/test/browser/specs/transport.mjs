// How events travel: without a preflight, within the browser's budget, at the last moment, again.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually, PATIENCE_MS } from "../../../../tests/browser/stage.mjs";
import { refusal } from "../../../../tests/browser/proxy.mjs";
import { open, proxy, serve, tag, weir } from "../stage.mjs";

/** How often each event of a site lies in the store, by its number. */
const stored = async (site, type) => {
  const counts = {};
  for (const { page_url, props } of await weir.events(type)) {
    if (page_url.startsWith(site.url)) counts[props.n] = (counts[props.n] ?? 0) + 1;
  }
  return counts;
};

/** How long the gateway is away; half a minute takes half a minute. */
const AWAY_MS = Number(process.env.AWAY_MS ?? 4_000);

const numbers = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [n, 1]));

/** Tracks `count` numbered events, of `size` characters. */
const track = (page, type, count, size = 10) =>
  page.evaluate(
    ([type, count, size]) => {
      for (let n = 0; n < count; n++) weir.track(type, { props: { n, text: "x".repeat(size) } });
    },
    [type, count, size],
  );

/** Every numbered event is in the store, once. */
async function exactlyOnce(site, type, count) {
  const look = async () => Object.keys(await stored(site, type)).length === count;
  await eventually(`${count} ${type} in the store`, look, PATIENCE_MS + 2 * AWAY_MS);
  assert.deepEqual(await stored(site, type), numbers(count));
}

describe("transport", { concurrency: 6 }, () => {
  test("one request, text/plain, no preflight, no query, no cookie of ours", async () => {
    const { page, site, arrived, context } = await open();
    await arrived("pageview");
    for (const { method, url, headers } of proxy.requests(site.url)) {
      assert.equal(method, "POST");
      assert.equal(url, "/collect");
      assert.equal(headers["content-type"], "text/plain;charset=UTF-8");
    }
    assert.deepEqual(await context.cookies(), []);
    await page.close();
  });

  test("the exit send is done before the handler returns (confidence-sdk-js#388)", async () => {
    const init = () => {
      const real = window.fetch;
      window.sent = [];
      window.fetch = (...parameters) => (window.sent.push(parameters[1]), real(...parameters));
    };
    const { page, arrived } = await open({ init });
    await arrived("pageview");
    const sent = await page.evaluate(() => {
      weir.track("waiting");
      window.sent = [];
      Object.defineProperty(document, "hidden", { value: true });
      document.dispatchEvent(new Event("visibilitychange"));
      return window.sent.map(({ body, keepalive }) => ({ body, keepalive }));
    });
    assert.equal(sent.length, 1);
    assert.ok(sent[0].keepalive && /"waiting"/.test(sent[0].body) && /"engagement"/.test(sent[0].body));
    await arrived("waiting");
    await page.close();
  });

  test("what was sent on hiding is not sent again on coming back or going (Segment's timer)", async () => {
    const { page, site, arrived, settled } = await open();
    const hide = (hidden) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await page.evaluate(() => weir.track("once"));
    await hide(true);
    await hide(false);
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
    await arrived("once");
    await page.waitForTimeout(1_200);
    await settled(page);
    assert.equal(proxy.attempted(site.url).filter((event) => event.event_type === "once").length, 1);
    await page.close();
  });

  test("an event of a listener after ours goes too (snowplow#890)", async () => {
    const body = '<script>addEventListener("load",()=>document.addEventListener("visibilitychange",()=>weir.track("after")))</script>';
    const { page, arrived } = await open({ body });
    await arrived("pageview");
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await arrived("after");
    await page.close();
  });

  test("another script that has used up the keepalive budget stops nothing", async () => {
    let answer;
    const held = new Promise((resolve) => (answer = resolve));
    const site = await serve((path) => (path === "/elsewhere" ? held : `<!doctype html><title>x</title>${tag()}`));
    const { page, arrived } = await open({ site });
    await arrived("pageview");
    await page.evaluate(() => void fetch("/elsewhere", { method: "POST", body: "x".repeat(60_000), keepalive: true }));
    const isRefused = await page.evaluate(() =>
      fetch("/", { method: "POST", body: "x".repeat(8_000), keepalive: true }).then(() => false, () => true));
    assert.ok(isRefused, "Chromium refuses what is over the budget");
    await track(page, "competing", 15, 900);
    await exactlyOnce(site, "competing", 15);
    answer();
    await page.close();
  });

  test("more than the budget of our own arrives, also from a page that goes", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    await track(page, "large", 30, 3_500);
    await page.goto("about:blank");
    await eventually("what fits", async () => Object.keys(await stored(site, "large")).length >= 12);
    const kept = await stored(site, "large");
    assert.ok(Object.values(kept).every((count) => count === 1), JSON.stringify(kept));
    await page.close();
  });

  test("without keepalive the beacon takes over (Firefox before 133)", async () => {
    const init = () => delete Request.prototype.keepalive;
    const { page, arrived } = await open({ init });
    await page.evaluate(() => weir.track("by_beacon"));
    await page.goto("about:blank");
    await arrived("by_beacon");
    await page.close();
  });

  test("no beacon where there is keepalive: blockers drop beacons and say they went", async () => {
    const init = () => (navigator.sendBeacon = () => true);
    const { page, arrived } = await open({ init });
    await page.evaluate(() => weir.track("no_beacon"));
    await page.goto("about:blank");
    await arrived("no_beacon");
    await arrived("engagement");
    await page.close();
  });

  test("nothing listens for unload or beforeunload, which keep a page out of the cache", async () => {
    const init = () => {
      window.types = [];
      const real = EventTarget.prototype.addEventListener;
      EventTarget.prototype.addEventListener = function (type, ...more) {
        window.types.push(type);
        return real.call(this, type, ...more);
      };
    };
    const { page, arrived } = await open({ init, file: "t.full.js" });
    await arrived("pageview");
    const types = await page.evaluate(() => window.types);
    assert.ok(types.includes("visibilitychange") && types.includes("pagehide"));
    assert.deepEqual(types.filter((type) => /unload/.test(type)), []);
    await page.close();
  });

  test("a beacon that is refused goes in halves", async () => {
    const init = () => {
      delete Request.prototype.keepalive;
      const real = navigator.sendBeacon.bind(navigator);
      navigator.sendBeacon = (url, body) => body.length < 3_000 && real(url, body);
    };
    const { page, site, arrived } = await open({ init });
    await arrived("pageview");
    await track(page, "halved", 12, 500);
    await page.goto("about:blank");
    await exactlyOnce(site, "halved", 12);
    await page.close();
  });

  test("503 for a while, then back: every event once", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    const until = performance.now() + AWAY_MS;
    proxy.break(site.url, async (_, forward) => (performance.now() < until ? refusal(503, 1) : forward()));
    await track(page, "away", 60);
    await exactlyOnce(site, "away", 60);
    await page.close();
  });

  test("a broken connection is tried again: every event once", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    let failures = 3;
    proxy.break(site.url, async (_, forward) => (failures-- > 0 ? undefined : forward()));
    await track(page, "broken", 25);
    await exactlyOnce(site, "broken", 25);
    await page.close();
  });

  test("429 waits for as long as Retry-After says: every event once", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    let isFirst = true;
    proxy.break(site.url, async (_, forward) => {
      if (!isFirst) return forward();
      isFirst = false;
      return refusal(429, 2);
    });
    await track(page, "limited", 25);
    await exactlyOnce(site, "limited", 25);
    const [first, second] = proxy.requests(site.url).filter(({ body }) => body.includes('"limited"'));
    // Another request may have been under way when the answer came; what was refused waits.
    const again = proxy.requests(site.url).find(({ at, status }) => at > first.at + 1_900 && status === 204);
    assert.ok(again && second, "nothing of it before two seconds are over");
    await page.close();
  });

  test("413 goes in halves until it fits: every event once", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    proxy.break(site.url, async ({ body }, forward) => (body.length > 4_000 ? refusal(413) : forward()));
    await track(page, "too_large", 40, 200);
    await exactlyOnce(site, "too_large", 40);
    await page.close();
  });

  test("an answer lost after acceptance: sent again, stored once", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    let lost = 2;
    proxy.break(site.url, async (_, forward) => {
      const answer = await forward();
      return lost-- > 0 ? undefined : answer;
    });
    await track(page, "unheard", 25);
    await exactlyOnce(site, "unheard", 25);
    const sent = proxy.attempted(site.url).filter((event) => event.event_type === "unheard");
    assert.ok(sent.length > 25, "it was sent again");
    await page.close();
  });

  test("400 is not tried again, and the page is told", async () => {
    const { page, site, arrived } = await open();
    await arrived("pageview");
    proxy.break(site.url, async () => refusal(400));
    const result = await page.evaluate(() => new Promise((callback) => weir.track("refused", { callback })));
    assert.equal(result, "dropped");
    await page.waitForTimeout(500);
    assert.equal(proxy.attempted(site.url).filter((event) => event.event_type === "refused").length, 1);
    await page.close();
  });

  test("offline for a while, then back: every event once", async () => {
    const { page, site, arrived, context } = await open();
    await arrived("pageview");
    await context.setOffline(true);
    await track(page, "offline", 25);
    await page.waitForTimeout(1_500);
    await context.setOffline(false);
    await exactlyOnce(site, "offline", 25);
    await page.close();
  });

  test("hints never hold up the first view", async () => {
    const init = () => {
      const data = navigator.userAgentData ?? {};
      Object.defineProperty(navigator, "userAgentData", {
        value: { toJSON: () => ({ platform: "Known at once" }), getHighEntropyValues: () => new Promise(() => {}), ...data },
      });
    };
    const { page, arrived } = await open({ init });
    const [view] = await arrived("pageview");
    assert.equal(view.hints.platform, "Known at once");
    await page.close();
  });
});
