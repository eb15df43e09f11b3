// What a page sends, found in the store; and the demo page.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../../../../tests/browser/stage.mjs";
import { browser, open, weir } from "../stage.mjs";

/** Documents of a type and a site, once there are `count`. */
const stored = (type, site, count = 1) =>
  eventually(`${count} ${type} of ${site.url} in the store`, async () => {
    const found = (await weir.events(type)).filter((event) => event.page_url.startsWith(site.url));
    return found.length >= count && found;
  });

describe("pages", { concurrency: 4 }, () => {
  test("a page view arrives enriched, across origins", async () => {
    const { page, errors, site } = await open({ path: "/a?utm_source=google", attributes: 'data-weir-site="shop"' });
    const [view] = await stored("pageview", site);
    assert.equal(view.site, "shop");
    assert.equal(view.page_url, `${site.url}/a?utm_source=google`);
    assert.equal(view.page_title, "A page");
    assert.equal(view.page_language, "en");
    assert.equal(view.source_category, "search_engine");
    assert.equal(view.is_bot, true, "Playwright's own mark, told and not acted on");
    assert.match(view.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.ok(view.screen_width > 0 && view.os_timezone !== undefined);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("own events and tagged elements arrive with their properties", async () => {
    const body = '<button data-weir-event="tagged" data-weir-prop-plan="pro" data-weir-revenue="12.5 EUR">Go</button>';
    const { page, errors, site } = await open({ body, attributes: 'data-weir-props-tier="gold"' });
    const id = await page.evaluate(() => {
      weir.identify("jane@example.com", { role: "admin" });
      let count = 0;
      weir.set(() => ({ count: ++count }));
      weir("track", "first");
      return weir.track("late", { props: { n: 2 }, url: "https://a.example/hidden" });
    });
    await page.click("button");
    const [late] = (await eventually("late", async () => (await weir.events("late")).length && weir.events("late")));
    assert.equal(late.event_id, id);
    assert.equal(late.page_url, "https://a.example/hidden");
    assert.equal(late.user_custom_id, "jane@example.com");
    assert.deepEqual(late.props, { tier: "gold", role: "admin", count: 2, n: 2 });
    const [tagged] = await stored("tagged", site);
    assert.equal(tagged.props.plan, "pro");
    assert.deepEqual([tagged.revenue_amount, tagged.revenue_currency], [12.5, "EUR"]);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("calls before the script are told by the page they were made on", async () => {
    const stub = `<script>
      window.weir = function () {
        (weir.q = weir.q || []).push([arguments, {
          url: location.href, title: document.title, referrer: document.referrer, time: Date.now(),
        }]);
      };
      weir("track", "early", { props: { a: 1, b: "x", c: true } });
      history.replaceState({}, "", "/moved"); document.title = "Moved";
    </script>`;
    const { page, site } = await open({ head: stub, path: "/landing" });
    const [early] = await stored("early", site);
    assert.equal(new URL(early.page_url).pathname, "/landing");
    assert.equal(early.page_title, "A page");
    assert.deepEqual([early.props.a, early.props.b, early.props.c], [1, "x", true]);
    const [view] = await stored("pageview", site);
    assert.equal(new URL(view.page_url).pathname, "/moved");
    assert.equal(early.page_view_id, view.page_view_id);
    await page.close();
  });

  test("what is tracked while the page goes away arrives", async () => {
    const { page, site } = await open({ body: "<script>addEventListener('pagehide',()=>weir.track('leaving'))</script>" });
    await page.evaluate(() => weir.track("queued"));
    await page.goto("about:blank");
    await stored("leaving", site);
    await stored("queued", site);
    await stored("engagement", site);
    await page.close();
  });

  test("the demo page is clicked through and found in the store", async () => {
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(weir.url);
    await page.waitForSelector("text=pageview: 204");
    await page.click("text=Sparkling water");
    await page.click("#add");
    await page.click("a[data-page=cart]");
    await page.click("#buy");
    await page.waitForSelector("text=purchase: 204");
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/demo.png`, fullPage: true });
    const site = { url: weir.url };
    const [added] = await stored("add_to_cart", site);
    assert.equal(added.props.product, "sparkling");
    const [purchase] = await stored("purchase", site);
    assert.equal(purchase.revenue_amount, 1.8);
    assert.ok((await stored("pageview", site)).length >= 3);
    await page.click("text=See it on the dashboard");
    await page.waitForFunction(() => document.querySelector("[data-testid=recent]")?.innerText.includes("purchase"));
    assert.deepEqual(errors, []);
    await page.close();
  });
});
