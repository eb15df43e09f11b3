// The page on a real weir: what is posted is what it shows, as text.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, startBrowser, startWeir } from "../../../../tests/browser/stage.mjs";

let weir, browser;
before(async () => {
  [weir, browser] = await Promise.all([startWeir(), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await weir?.stop();
});

const hostile = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>\u202e';

async function open(options = {}) {
  const page = await browser.newPage(options);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`${weir.admin}/dashboard`);
  return { page, errors };
}

const text = (page, part) => page.locator(`[data-testid=${part}]`).innerText();

async function post(events) {
  const answer = await fetch(`${weir.url}/collect`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  assert.ok(answer.ok, await answer.text());
}

async function shot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}

test("without events it says how to send one", async () => {
  const { page, errors } = await open();
  await page.waitForSelector("[data-testid=empty]");
  const words = await text(page, "empty");
  assert.ok(words.includes(`${weir.url}/collect`) && words.includes(`${weir.url}/t.js`), words);
  await shot(page, "dashboard-empty");
  assert.deepEqual(errors, []);
  await page.close();
});

test("events are counted, listed and filtered", async () => {
  const { page, errors } = await open();
  const visit = (n) => ({
    event_type: "pageview",
    page_url: `https://shop.example/${n % 3 ? "home" : "cart"}?utm_source=${n % 2 ? "google" : "facebook"}`,
    user_domain_id: `visitor-${n % 7}`,
    ip_address: `198.18.${n}.1`,
  });
  await post(Array.from({ length: 42 }, (_, n) => visit(n)));
  await page.waitForFunction(() => document.querySelector("[data-testid=figures]")?.innerText.includes("42"));
  const figures = await text(page, "figures");
  assert.match(figures, /Events\s+42/);
  assert.match(figures, /Visitors\s+7/);
  assert.match(await text(page, "page_url_path"), /\/home\s+28\s+\/cart\s+14/);
  assert.match(await text(page, "source_category"), /search_engine\s+21/);
  assert.match(await text(page, "pipeline"), /Gateway/);
  await page.click("[data-testid=page_url_path] button:has-text('/cart')");
  await page.waitForFunction(() => document.querySelector("[data-testid=figures]")?.innerText.match(/Events\s+14/));
  await page.click(".chip");
  await page.waitForFunction(() => document.querySelector("[data-testid=figures]")?.innerText.match(/Events\s+42/));
  assert.deepEqual(errors, []);
  await page.close();
});

test("hostile values are text", async () => {
  const { page, errors } = await open();
  const event = { event_type: hostile.slice(0, 150), page_url: `https://a.example/${hostile}`, utm_source: hostile, geo_country: hostile, browser_user_agent: hostile };
  await post([event, { ...event, page_url_path: `/${hostile}`, props: { [hostile]: hostile } }]);
  await eventually("the hostile event", async () => (await text(page, "recent")).includes("onerror"));
  assert.equal(await page.evaluate(() => window.harmed), undefined);
  assert.equal(await page.locator("#app img").count(), 0);
  assert.ok((await text(page, "event_type")).includes("\\u202e") || (await text(page, "recent")).includes("<img"));
  assert.deepEqual(errors, []);
  await page.close();
});

test("dead letters and repetitions are told", async () => {
  const { page } = await open();
  await post([{ event_id: "twice", event_type: "a" }, { no: "type" }]);
  await post([{ event_id: "twice", event_type: "a" }]);
  await eventually("the dead letter", async () => (await text(page, "pipeline")).includes("missing_event_type"));
  await eventually("the repetition", async () => /Repeated\s+1/.test(await text(page, "pipeline")));
  await page.close();
});

test("it is read on a phone and in the dark, and says when weir is gone", async () => {
  const { page } = await open({ viewport: { width: 390, height: 800 }, colorScheme: "dark" });
  await page.waitForSelector("[data-testid=figures]");
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${overflow} pixels too wide`);
  await shot(page, "dashboard-phone");
  await page.close();
  const wide = await open();
  await wide.page.waitForSelector("[data-testid=figures]");
  await wide.page.waitForTimeout(5_000);
  await shot(wide.page, "dashboard");
  await weir.stop();
  await wide.page.waitForSelector("[role=alert]");
  assert.match(await wide.page.locator("[role=alert]").innerText(), /does not answer/);
  await wide.page.close();
});
