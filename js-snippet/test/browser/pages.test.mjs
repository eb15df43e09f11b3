// Real pages in a real browser against a real gateway; events are looked for in the store.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, startBrowser, startSite, startWeir } from "../../../tests/browser/stage.mjs";

let weir, browser;
const sites = [];
before(async () => {
  [weir, browser] = await Promise.all([startWeir(), startBrowser()]);
});
after(async () => {
  await browser?.close();
  await Promise.all(sites.map((site) => site.stop()));
  await weir?.stop();
});

/** Opens a page of another origin that embeds the snippet; errors on it fail the test. */
async function open({ attributes = "", head = "", body = "<p>Hello</p>", path = "/", headers, init } = {}) {
  const tag = `<script defer src="${weir.url}/t.js" ${attributes}></script>`;
  const site = await startSite(`<!doctype html><html lang="en"><title>A page</title>${head}${tag}${body}</html>`, headers);
  sites.push(site);
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  if (init) await page.addInitScript(init);
  await page.goto(site.url + path);
  return { page, errors, site };
}

const of = (type, site) =>
  eventually(`${type} of ${site.url}`, async () => {
    const found = (await weir.events(type)).filter((event) => event.page_url.startsWith(site.url));
    return found.length > 0 && found;
  });

/** Gives what must not come the time to come. */
const settle = (page) => page.waitForTimeout(2_500);

test("a page view arrives enriched, across origins and without a preflight", async () => {
  const { page, errors, site } = await open({ path: "/a?utm_source=google", attributes: 'data-weir-site="shop"' });
  const [view] = await of("pageview", site);
  assert.equal(view.site, "shop");
  assert.equal(view.page_url, `${site.url}/a?utm_source=google`);
  assert.equal(view.page_title, "A page");
  assert.equal(view.source_category, "search_engine");
  assert.match(view.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.ok(view.screen_width > 0 && view.browser_language && view.os_timezone !== undefined);
  assert.deepEqual(errors, []);
  await page.close();
});

test("navigation inside the document is a view once, with the view before as its referrer", async () => {
  const { page, site } = await open();
  await of("pageview", site);
  // As routers do: the same address once more, then the next one.
  await page.evaluate(() => {
    history.replaceState({}, "", location.href);
    history.pushState({}, "", "/second");
    document.title = "Second";
  });
  const views = await eventually("two views", async () => {
    const found = await of("pageview", site);
    return found.length > 1 && found;
  });
  await page.evaluate(() => history.replaceState({}, "", "/second?filter=1"));
  await settle(page);
  assert.equal((await of("pageview", site)).length, 2, "another query is the same page");
  const second = views.find((view) => view.page_url.endsWith("/second"));
  assert.equal(second.page_title, "Second");
  assert.equal(second.referer_url, `${site.url}/`);
  assert.notEqual(second.page_view_id, views.find((view) => view !== second).page_view_id);
  await page.close();
});

test("own events, kept calls and tagged elements arrive with their properties", async () => {
  const stub = `<script>window.weir=function(){(weir.q=weir.q||[]).push([arguments,{url:location.href,time:Date.now()}])};
    weir("track","early",{props:{a:1,b:"x",c:true}})</script>`;
  const body = '<button id="b" data-weir-event="tagged" data-weir-prop-plan="pro" data-weir-revenue="12.5 EUR">Go</button>';
  const { page, errors, site } = await open({ head: stub, body });
  await of("early", site);
  const id = await page.evaluate(() => weir.track("late", { props: { n: 2 } }));
  await page.click("#b");
  const [late] = await of("late", site);
  assert.equal(late.event_id, id);
  const [early] = await of("early", site);
  assert.deepEqual([early.props.a, early.props.b, early.props.c], [1, "x", true]);
  const [tagged] = await of("tagged", site);
  assert.equal(tagged.props.plan, "pro");
  assert.deepEqual([tagged.revenue_amount, tagged.revenue_currency], [12.5, "EUR"]);
  assert.deepEqual(errors, []);
  await page.close();
});

test("what is tracked while the page goes away arrives", async () => {
  const { page, site } = await open({ body: "<script>addEventListener('pagehide',()=>weir.track('leaving'))</script>" });
  await of("pageview", site);
  await page.evaluate(() => weir.track("queued"));
  await page.goto("about:blank");
  await of("leaving", site);
  await of("queued", site);
  await page.close();
});

test("outbound links, downloads and forms are told, values of inputs are not", async () => {
  const body = `<a id="out" href="http://other.example/x" target="nowhere">out</a> <a id="file" href="/report.PDF" target="nowhere">file</a>
    <form id="f" action="/done" target="nowhere"><input name="id" value="secret-value"><button id="s">Send</button></form>
    <script>addEventListener("click",(e)=>{if(e.target.tagName==="A")e.preventDefault()})</script>`;
  const { page, site } = await open({ body });
  await of("pageview", site);
  for (const id of ["out", "file", "s"]) await page.click(`#${id}`);
  const [outbound] = await of("outbound_click", site);
  assert.equal(outbound.props.url, "http://other.example/x");
  const [download] = await of("download", site);
  assert.equal(download.props.url, `${site.url}/report.PDF`);
  const [form] = await of("form_submit", site);
  assert.equal(form.props.form_action, "/done");
  assert.ok(!JSON.stringify(form).includes("secret-value"));
  await page.close();
});

test("without consent nothing is sent, and what waited goes when it comes", async () => {
  const { page, site } = await open({ attributes: 'data-weir-consent="unknown" data-weir-storage="local"' });
  await page.evaluate(() => weir.track("undecided"));
  await settle(page);
  assert.deepEqual((await weir.events("undecided")).filter((event) => event.page_url.startsWith(site.url)), []);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
  await page.evaluate(() => weir.consent("granted"));
  const [event] = await of("undecided", site);
  assert.equal(event.consent, "granted");
  await page.close();
});

test("a hostile page takes no harm and does none", async () => {
  const init = () => {
    Object.defineProperty(window, "localStorage", { get: () => { throw new Error("denied"); } });
    Object.prototype.polluted = "yes";
    window.fetch = () => { throw new Error("patched"); };
  };
  const { page, errors, site } = await open({ init, attributes: 'data-weir-storage="local"' });
  assert.deepEqual(errors, []);
  assert.equal(await page.evaluate(() => typeof weir.track("x")), "string");
  // With fetch broken, the beacon on leaving is what is left.
  await page.goto("about:blank");
  await page.close();
  assert.ok(site);
});

test("a strict policy needs one origin in two directives", async () => {
  const policy = `default-src 'none'; script-src ${weir.url}; connect-src ${weir.url}; require-trusted-types-for 'script'`;
  const { page, errors, site } = await open({ headers: { "content-security-policy": policy } });
  await of("pageview", site);
  assert.deepEqual(errors, []);
  await page.close();
});

test("loaded twice it counts once, and leaves one global", async () => {
  const { page, site } = await open({ head: `<script defer src="${weir.url}/t.js"></script>` });
  await of("pageview", site);
  await settle(page);
  assert.equal((await of("pageview", site)).length, 1);
  await page.close();
});

test("a page from the cache is seen again", async () => {
  const { page, site } = await open();
  await of("pageview", site);
  // Playwright turns the cache itself off: the event that it fires is made by hand.
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await eventually("the second view", async () => (await of("pageview", site)).length === 2);
  await page.close();
});

test("the demo page is clicked through and found in the store", async () => {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(weir.url);
  await page.click("text=Sparkling water");
  await page.click("#add");
  await page.click("a[data-page=cart]");
  await page.click("#buy");
  await page.waitForSelector("text=purchase: sent");
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/demo.png`, fullPage: true });
  const site = { url: weir.url };
  const [added] = await of("add_to_cart", site);
  assert.equal(added.props.product, "sparkling");
  const [purchase] = await of("purchase", site);
  assert.equal(purchase.revenue_amount, 1.8);
  assert.ok((await of("pageview", site)).length >= 3);
  await page.click("text=See it on the dashboard");
  await page.waitForFunction(() => document.querySelector("[data-testid=recent]")?.innerText.includes("purchase"));
  assert.deepEqual(errors, []);
  await page.close();
});
