// What is kept in the browser, by whose leave, and where nothing can be.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually, startWeir } from "../../../../tests/browser/stage.mjs";
import { browser, open, proxy, serve, tag, watch } from "../stage.mjs";

const keys = (page) => page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]);

describe("storage", { concurrency: 6 }, () => {
  test("nothing is kept unless it was asked for", async () => {
    const { page, arrived, context } = await open({ file: "t.full.js" });
    await page.evaluate(() => weir.identify("jane"));
    await arrived("pageview");
    await page.goto(page.url());
    assert.deepEqual(await keys(page), []);
    assert.deepEqual(await context.cookies(), []);
    await context.close();
  });

  test("asked for, visitor and session ids last over pages, and are forgotten", async () => {
    const { page, site, accepted, arrived, context } = await open({ attributes: 'data-weir-storage="local"' });
    const [first] = await arrived("pageview");
    await page.goto(`${site.url}/second`);
    const [, second] = await arrived("pageview", 2);
    assert.match(first.user_domain_id, /^[0-9a-f-]{36}$/);
    assert.equal(second.user_domain_id, first.user_domain_id);
    assert.equal(second.session_id, first.session_id);
    const ids = await page.evaluate(() => weir.ids());
    assert.equal(ids.user_domain_id, first.user_domain_id);
    await page.evaluate(() => (weir.reset(), weir.track("after")));
    const [after] = await arrived("after");
    assert.notEqual(after.user_domain_id, first.user_domain_id);
    assert.equal(accepted("pageview").length, 2);
    await context.close();
  });

  test("a session ends after half an hour without an event", async () => {
    const { page, arrived, context } = await open({ attributes: 'data-weir-storage="session"' });
    const [view] = await arrived("pageview");
    await page.evaluate(() => {
      const [visitor, session, last] = sessionStorage.getItem("weir.v").split(" ");
      sessionStorage.setItem("weir.v", [visitor, session, last - 31 * 60_000].join(" "));
      weir.track("later");
    });
    const [later] = await arrived("later");
    assert.equal(later.user_domain_id, view.user_domain_id);
    assert.notEqual(later.session_id, view.session_id);
    await context.close();
  });

  test("undecided, nothing is sent and no storage is touched; decided, what waited goes", async () => {
    const init = () => {
      window.touched = 0;
      for (const name of ["localStorage", "sessionStorage"]) {
        const real = window[name];
        Object.defineProperty(window, name, { get: () => (window.touched++, real) });
      }
    };
    const { page, site, arrived, context } = await open({
      init,
      file: "t.full.js",
      attributes: 'data-weir-consent="unknown" data-weir-storage="local"',
    });
    await page.evaluate(() => {
      for (let n = 0; n < 120; n++) weir.track("undecided", { props: { n } });
    });
    await page.waitForTimeout(1_300);
    assert.deepEqual(proxy.requests(site.url), []);
    assert.equal(await page.evaluate(() => window.touched), 0);
    await page.evaluate(() => weir.consent("granted"));
    const events = await arrived("undecided", 100);
    assert.equal(events.length, 100, "the oldest of more than a hundred went");
    // Requests under way together arrive in any order.
    assert.deepEqual(events.map(({ props }) => props.n).sort((a, b) => a - b), Array.from({ length: 100 }, (_, n) => n + 20));
    assert.ok(events.every(({ consent, user_domain_id }) => consent === "granted" && user_domain_id));
    await context.close();
  });

  test("an event follows the decision, or the visitor, that it was told under", async () => {
    const { page, arrived, accepted, settled } = await open({ attributes: 'data-weir-consent="denied" data-weir-storage="local"' });
    const results = await page.evaluate(async () => {
      const told = (name) => new Promise((callback) => weir.track(name, { callback }));
      const early = told("denied");
      weir.consent("granted");
      const before = told("before");
      weir.reset();
      return Promise.all([early, before, told("after")]);
    });
    assert.deepEqual(results, ["dropped", "sent", "sent"]);
    await settled(page);
    const [[before], [after]] = [await arrived("before"), await arrived("after")];
    assert.ok(before.user_domain_id && before.user_domain_id !== after.user_domain_id);
    assert.deepEqual(accepted("denied"), []);
    await page.close();
  });

  test("denied, what waited is dropped, and ids are forgotten", async () => {
    const { page, site, context } = await open({ attributes: 'data-weir-consent="unknown" data-weir-storage="local"' });
    const result = await page.evaluate(
      () => new Promise((callback) => (weir.track("undecided", { callback }), weir.consent("denied"))),
    );
    assert.equal(result, "dropped");
    await page.goto("about:blank");
    await page.waitForTimeout(300);
    assert.deepEqual(proxy.requests(site.url), []);
    await context.close();
  });

  test("who opts out is left alone, on the next page too", async () => {
    const { page, site, context, arrived, accepted } = await open();
    await arrived("pageview");
    await page.evaluate(() => (weir.optOut(), weir.track("unwanted")));
    await page.goto(`${site.url}/second`);
    await page.evaluate(() => (weir.optOut(false), weir.track("marker"), weir.flush()));
    await arrived("marker");
    assert.equal(accepted("pageview").length, 1);
    assert.equal(accepted("unwanted").length, 0);
    await context.close();
  });

  test("under Global Privacy Control no id is kept or sent", async () => {
    const init = () => Object.defineProperty(navigator, "globalPrivacyControl", { value: true });
    const { page, arrived, context } = await open({ init, attributes: 'data-weir-storage="local"' });
    const [view] = await arrived("pageview");
    assert.equal(view.user_domain_id, undefined);
    assert.equal(view.session_id, undefined);
    assert.deepEqual(await keys(page), []);
    await context.close();
  });

  test("the retired Do Not Track changes nothing", async () => {
    const init = () => Object.defineProperty(navigator, "doNotTrack", { value: "1" });
    const { arrived, context } = await open({ init, attributes: 'data-weir-storage="local"' });
    const [view] = await arrived("pageview");
    assert.match(view.user_domain_id, /^[0-9a-f-]{36}$/);
    await context.close();
  });

  test("where a browser keeps nothing for scripts, the gateway's own cookie knows the visitor (Safari)", async () => {
    const own = await startWeir((url) => ({ WEIR_PRIVACY__VISITOR_ID: "cookie", WEIR_GATEWAY__ALLOWED_ORIGINS: url }));
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.addInitScript(() => Object.defineProperty(window, "localStorage", { get: () => { throw new Error("denied"); } }));
      const views = (count) =>
        eventually(`${count} views`, async () => {
          const found = await own.events("pageview");
          return found.length >= count && found;
        });
      await page.goto(own.url);
      await views(1);
      await page.reload();
      const [first, second] = await views(2);
      assert.ok(first.user_domain_id, JSON.stringify(first));
      assert.equal(second.user_domain_id, first.user_domain_id);
      const [cookie] = await context.cookies();
      assert.ok(cookie.httpOnly && cookie.expires > Date.now() / 1_000 + 30 * 86_400, JSON.stringify(cookie));
    } finally {
      await context.close();
      await own.stop();
    }
  });

  test("storage that throws stops nothing", async () => {
    const init = () => {
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get: () => { throw new DOMException("denied", "SecurityError"); } });
      }
    };
    const options = { init, file: "t.full.js", attributes: 'data-weir-storage="local" data-weir-offline' };
    const { page, arrived, errors, context } = await open(options);
    const [view] = await arrived("pageview");
    assert.equal(view.user_domain_id, undefined);
    await page.evaluate(() => weir.optOut());
    assert.deepEqual(errors, []);
    await context.close();
  });

  test("a sandboxed frame, which has no storage and no origin, tells its views", async () => {
    const inner = `<!doctype html><title>Inner</title>${tag('data-weir-storage="local" data-weir-site="framed"')}`;
    const site = await serve((path) =>
      path === "/inner" ? inner : '<!doctype html><title>Outer</title><iframe sandbox="allow-scripts" src="/inner"></iframe>',
    );
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(site.url);
    const [view] = await watch({ url: "null" }).arrived("pageview");
    assert.equal(view.page_url, `${site.url}/inner`);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("kept for later where it was asked for: a page that ends offline is told by the next, once", async () => {
    const options = { file: "t.full.js", attributes: "data-weir-offline" };
    const { page, site, context, arrived, accepted, settled } = await open(options);
    await arrived("pageview");
    proxy.break(site.url, async () => undefined);
    // What is still under way when its page ends may yet arrive, and is not kept.
    const failed = page.waitForEvent("requestfailed", (request) => request.method() === "POST");
    const away = page.evaluate(() => {
      weir.track("stranded", { props: { n: 1 } });
      weir.flush();
    });
    await away;
    await failed;
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
    const tries = () => proxy.attempted(site.url).length;
    const before = tries();
    await page.goto("about:blank");
    await eventually("the try of the page that is left", () => tries() > before);
    proxy.mend(site.url);
    const tabs = [await context.newPage(), await context.newPage()];
    await Promise.all(tabs.map((tab) => tab.goto(`${site.url}/later`)));
    await arrived("stranded");
    await settled(tabs[0]);
    const ids = accepted("stranded").map((event) => event.event_id);
    assert.equal(ids.length, 1, "of two pages one takes it");
    assert.deepEqual((await keys(tabs[0])).filter((key) => key.startsWith("weir.q.")), []);
    await context.close();
  });

  test("what is kept for later has bounds", async () => {
    const site = await serve((path) =>
      `<!doctype html><title>x</title>${path === "/later" ? tag("data-weir-offline", "t.full.js") : ""}`,
    );
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(site.url);
    const count = await page.evaluate(() => {
      const id = (ms, n) => `0${ms.toString(16).replace(/.{7}/, "$&-")}-7000-8000-${String(n).padStart(12, "0")}`;
      const keep = (event_type, event_id, n) =>
        localStorage.setItem(`weir.q.${event_id}`, JSON.stringify({ event_id, event_type, page_url: location.href, props: { n } }));
      for (let n = 0; n < 150; n++) keep("x", id(Date.now() - 1_000, n), n);
      keep("ancient", id(Date.now() - 25 * 3_600_000, 0), 0);
      localStorage.setItem("mine", "kept");
      return localStorage.length;
    });
    assert.equal(count, 152);
    const second = await context.newPage();
    await second.goto(`${site.url}/later`);
    const { accepted, arrived, settled } = watch(site);
    await settled(second);
    const kept = await arrived("x", 99);
    // With the view there were 101, of which the queue let go the oldest.
    assert.deepEqual(kept.map(({ props }) => props.n).sort((a, b) => a - b), Array.from({ length: kept.length }, (_, n) => n + 150 - kept.length));
    assert.equal(accepted("ancient").length, 0);
    assert.deepEqual(await keys(second), ["mine"]);
    await context.close();
  });
});
