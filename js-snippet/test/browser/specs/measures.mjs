// What is measured of a visit: reading, speed, errors; and what the snippet itself costs.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startBrowser } from "../../../../tests/browser/stage.mjs";
import { open, proxy, serve, tag, watch } from "../stage.mjs";
import { startPlainChromium } from "../plain-chromium.mjs";

/** A clock for `performance.now` that a test turns. */
const clock = () => {
  let ahead = 0;
  const real = performance.now.bind(performance);
  performance.now = () => real() + ahead;
  window.later = (ms) => (ahead += ms);
  window.focused = true;
  document.hasFocus = () => window.focused;
  window.focusOn = (yes) => {
    window.focused = yes;
    dispatchEvent(new Event(yes ? "focus" : "blur"));
  };
  window.hide = (hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  };
};

describe("measures", { concurrency: 6 }, () => {
  test("reading is time that the page is seen and focused, told as differences", async () => {
    const { page, arrived } = await open({ init: clock, body: '<p style="height:8000px">long</p>' });
    await arrived("pageview");
    await page.evaluate(() => {
      later(5_000);
      focusOn(false);
      later(60_000); // Another window is in front.
      focusOn(true);
      later(2_000);
      hide(true);
      later(3_600_000); // Another tab is.
      hide(false);
      later(4_000);
      hide(true);
    });
    const [first, second] = await arrived("engagement", 2);
    const near = (value, expected) => assert.ok(value >= expected && value < expected + 2_500, `${value} is near ${expected}`);
    near(first.engaged_ms, 7_000);
    near(second.engaged_ms, 4_000);
    assert.ok(first.scroll_percent > 0 && first.scroll_percent < 20);
    await page.close();
  });

  test("a jump of the clock is not reading, and a page left open is not read for days (plausible#5181)", async () => {
    const { page, arrived } = await open({ init: clock });
    await arrived("pageview");
    await page.evaluate(() => {
      const real = Date.now;
      Date.now = () => real() - 5 * 3_600_000;
      later(90 * 60_000);
      hide(true);
    });
    const [told] = await arrived("engagement");
    assert.equal(told.engaged_ms, 20 * 60_000);
    await page.close();
  });

  test("reading is told while it goes on, for a page that crashes cannot tell it", async () => {
    const { page, arrived, accepted, settled } = await open({ init: clock, attributes: 'data-weir-heartbeat="1"' });
    await arrived("pageview");
    await page.evaluate(() => later(5_000));
    const [first] = await arrived("engagement");
    await page.evaluate(() => later(7_000));
    const [, second] = await arrived("engagement", 2);
    // A page that is left open: the longest time in one go, and then nothing more.
    await page.evaluate(() => later(3_600_000));
    await arrived("engagement", 3);
    await page.evaluate(() => later(3_600_000));
    await page.waitForTimeout(1_500);
    await settled(page);
    const told = accepted("engagement");
    const [view] = await arrived("pageview");
    assert.ok(told.every(({ page_view_id }) => page_view_id === view.page_view_id));
    assert.ok(first.engaged_ms >= 5_000 && second.engaged_ms >= 7_000 && second.engaged_ms < 10_000, "differences");
    const sum = told.reduce((sum, { engaged_ms }) => sum + engaged_ms, 0);
    assert.ok(Math.abs(sum - 20 * 60_000) < told.length, `${sum}`);
    await page.close();
  });

  test("heartbeats of a page that nobody has seen yet take nothing from its first view", async () => {
    const init = `(${clock})(); Object.defineProperty(document, "hidden", { value: true, configurable: true });`;
    const { page, arrived, accepted } = await open({ init, attributes: 'data-weir-heartbeat="0.2"' });
    await page.waitForTimeout(1_000);
    assert.deepEqual([accepted("pageview"), accepted("engagement")], [[], []]);
    await page.evaluate(() => (hide(false), hide(true)));
    await arrived("pageview");
    const [told] = await arrived("engagement");
    assert.ok(told.scroll_percent > 0);
    await page.close();
  });

  test("where no heartbeat is wanted reading is told at the end", async () => {
    const { page, arrived, accepted, settled } = await open({ init: clock, attributes: 'data-weir-heartbeat="0"' });
    await arrived("pageview");
    await page.evaluate(() => later(60_000));
    await page.waitForTimeout(1_500);
    await settled(page);
    assert.deepEqual(accepted("engagement"), []);
    await page.evaluate(() => hide(true));
    const [told] = await arrived("engagement");
    assert.ok(told.engaged_ms >= 60_000);
    await page.close();
  });

  test("a frame or a list of the page that has the focus is part of reading it", async () => {
    const init = () => {
      let ahead = 0;
      const real = performance.now.bind(performance);
      performance.now = () => real() + ahead;
      window.later = (ms) => (ahead += ms);
    };
    const body = '<iframe srcdoc="<input autofocus>"></iframe><select id="s"><option>a<option>b</select>';
    const { page, arrived } = await open({ init, body });
    await arrived("pageview");
    await page.frameLocator("iframe").locator("input").click();
    assert.equal(await page.evaluate(() => document.activeElement.localName), "iframe");
    await page.evaluate(() => later(4_000));
    await page.focus("#s");
    await page.evaluate(() => later(4_000));
    await page.goto("about:blank");
    const [told] = await arrived("engagement");
    assert.ok(told.engaged_ms >= 8_000, `${told.engaged_ms}`);
    await page.close();
  });

  test("less than three seconds and no new depth is not told again", async () => {
    const { page, arrived, accepted, settled } = await open({ init: clock });
    await page.evaluate(() => hide(true));
    await arrived("engagement");
    await page.evaluate(() => (hide(false), later(1_000), hide(true), hide(false)));
    await settled(page);
    assert.equal(accepted("engagement").length, 1);
    await page.close();
  });

  test("depth is of its page: a view inside the document begins anew", async () => {
    const { page, arrived } = await open({ body: '<p style="height:8000px">long</p>' });
    await arrived("pageview");
    await page.evaluate(() => scrollTo(0, 8_000));
    await page.waitForTimeout(100);
    await page.evaluate(() => (history.pushState({}, "", "/second"), scrollTo(0, 0)));
    await arrived("pageview", 2);
    await page.goto("about:blank");
    const [first, second] = await arrived("engagement", 2);
    assert.deepEqual([new URL(first.page_url).pathname, first.scroll_percent], ["/", 100]);
    assert.equal(new URL(second.page_url).pathname, "/second");
    assert.ok(second.scroll_percent < 20);
    const [view] = await arrived("pageview");
    assert.equal(first.page_view_id, view.page_view_id);
    await page.close();
  });

  test("web vitals are told once a page load, of the page that was loaded", async () => {
    const body = `<button id="b">Work</button><script>
      b.onclick = () => { const end = performance.now() + 120; while (performance.now() < end); b.textContent = "done"; };</script>`;
    const { page, arrived, accepted, settled } = await open({ file: "t.full.js", body, init: clock });
    await arrived("pageview");
    const seen = (type) =>
      page.evaluate((type) => new Promise((resolve) => new PerformanceObserver(resolve).observe({ type, buffered: true, durationThreshold: 40 })).then(() => {}), type);
    await seen("largest-contentful-paint");
    await page.evaluate(() => b.insertAdjacentHTML("beforebegin", "<p style='height:200px'>shift</p>"));
    await seen("layout-shift");
    await page.click("#b");
    await page.waitForFunction(() => b.textContent === "done");
    await seen("event");
    await page.evaluate(() => hide(true));
    const [{ props }] = await arrived("web_vitals");
    assert.ok(props.lcp > 0 && props.fcp > 0 && props.fcp <= props.lcp && props.ttfb >= 0, JSON.stringify(props));
    assert.ok(props.inp >= 120, JSON.stringify(props));
    assert.ok(props.cls > 0, JSON.stringify(props));
    await page.evaluate(() => (hide(false), history.pushState({}, "", "/b")));
    await arrived("pageview", 2);
    await page.evaluate(() => (hide(true), hide(false)));
    await settled(page);
    assert.equal(accepted("web_vitals").length, 1);
    await page.close();
  });

  test("navigations inside the document add no observers (PostHog#2950)", async () => {
    const init = () => {
      window.observers = 0;
      const Real = PerformanceObserver;
      window.PerformanceObserver = class extends Real {
        constructor(...parameters) {
          super(...parameters);
          window.observers++;
        }
      };
    };
    const { page, arrived } = await open({ file: "t.full.js", init });
    const before = await page.evaluate(() => window.observers);
    for (let n = 0; n < 3; n++) {
      await page.evaluate((n) => history.pushState({}, "", `/view${n}`), n);
      await arrived("pageview", n + 2);
    }
    assert.ok(before > 0);
    assert.equal(await page.evaluate(() => window.observers), before);
    await page.close();
  });

  test("errors are told, each once, ten at most, and stay the page's", async () => {
    const { page, arrived, accepted, settled, errors } = await open({ file: "t.full.js", body: '<img src="/missing.png?">' });
    await page.evaluate(() => {
      const fail = (text) => setTimeout(() => { throw new Error(text); });
      for (let n = 0; n < 5; n++) fail("again");
      Promise.reject(new TypeError("rejected"));
    });
    await arrived("js_error", 2);
    await page.evaluate(() => {
      for (let n = 0; n < 20; n++) setTimeout(() => { throw new Error(`number ${n} ${"x".repeat(5_000)}`); });
    });
    const told = await arrived("js_error", 10);
    await settled(page);
    assert.equal(accepted("js_error").length, 10);
    assert.equal(told.filter(({ props }) => props.message === "Uncaught Error: again").length, 1);
    assert.equal(told.filter(({ props }) => props.message === "rejected").length, 1);
    assert.ok(told.every(({ props }) => props.message.length <= 2_000 && props.stack.length <= 2_000));
    assert.ok(errors.length >= 25, "the page's own handlers see them too");
    await page.close();
  });

  test("a page that says it is missing is told", async () => {
    const { page, arrived } = await open({ file: "t.full.js", attributes: 'data-weir-status="404"', path: "/nowhere" });
    const [missing] = await arrived("not_found");
    const [view] = await arrived("pageview");
    assert.equal(missing.page_view_id, view.page_view_id);
    await page.close();
  });

  test("it blocks no rendering and shifts nothing, by the browser's trace", async () => {
    const { page, site } = await open({ path: "/before" });
    const own = await startBrowser();
    try {
      const traced = await own.newPage();
      await own.startTracing(traced, { categories: ["devtools.timeline", "loading"] });
      await traced.goto(`${site.url}/traced`);
      await watch(site).arrived("pageview", 2);
      const { traceEvents } = JSON.parse(String(await own.stopTracing()));
      const requests = traceEvents.filter(({ name }) => name === "ResourceSendRequest").map(({ args }) => args.data);
      const ours = requests.filter(({ url }) => url.startsWith(proxy.url));
      assert.deepEqual(ours.map(({ url }) => new URL(url).pathname), ["/t.js", "/collect"]);
      assert.equal(ours[0].renderBlocking, "non_blocking");
      assert.ok(traceEvents.some(({ name }) => name === "firstContentfulPaint"), "the trace holds a page that was shown");
      assert.deepEqual(traceEvents.filter(({ name }) => name === "LayoutShift"), []);
    } finally {
      await own.close();
      await page.close();
    }
  });

  test("it adds less than 5 ms to the start of any script on a processor four times slower, and makes no long task", async () => {
    // The processor's time, so that who else is at work here does not count as much; a throttled
    // browser waits by the clock. Beside it a script that does the least that one can, taken off: much
    // of what a small script costs is the first look that anybody takes at the document.
    const least = `window.address=document.currentScript.src;addEventListener("pagehide",()=>{});setTimeout(()=>{},0)`;
    const scripts = { least: "/least.js", ours: `${proxy.url}/t.full.js` };
    const sites = {};
    for (const [name, src] of Object.entries(scripts)) {
      sites[name] = await serve((path) => (path === "/least.js" ? least : `<!doctype html><title>x</title><script defer src="${src}"></script><p>text`));
    }
    const own = await startBrowser();
    const starts = { least: [], ours: [] };
    const longest = [];
    try {
      for (let round = 0; round < 9; round++) {
        for (const name of Object.keys(scripts)) {
          const context = await own.newContext();
          const page = await context.newPage();
          await own.startTracing(page, { categories: ["devtools.timeline"] });
          await page.goto(sites[name].url);
          if (name === "ours") await watch(sites.ours).arrived("pageview", round + 1);
          const { traceEvents } = JSON.parse(String(await own.stopTracing()));
          const steps = traceEvents.filter(({ tdur, args }) => tdur && args.data?.url?.endsWith(scripts[name]));
          starts[name].push(steps.find((step) => step.name === "EvaluateScript").tdur / 1_000);
          if (name === "ours") longest.push(Math.max(...steps.map(({ tdur }) => tdur)) / 1_000);
          await context.close();
        }
      }
    } finally {
      await own.close();
    }
    const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];
    const [ours, floor, task] = [starts.ours, starts.least, longest].map(median);
    const slow = (ms) => (4 * ms).toFixed(1);
    console.log(`on a processor four times slower t.full.js compiles and starts in ${slow(ours)} ms, ${slow(floor)} ms of which any script takes; its longest task takes ${slow(task)} ms`);
    assert.ok(4 * (ours - floor) < 5, `${ours} ms and ${floor} ms`);
    assert.ok(4 * task < 50, `${longest}`);
  });

  test("a page out of the real back/forward cache is seen again, and read anew", async () => {
    // Playwright turns the cache off, and a driven page is not kept: nobody drives this Chromium.
    const site = await serve((path) =>
      path.startsWith("/b")
        ? "<!doctype html><title>B</title><script>setTimeout(()=>history.back(),500)</script>"
        : `<!doctype html><title>A</title>${tag()}<script>
            addEventListener("pageshow",(event)=>fetch("/shown?"+event.persisted));
            setTimeout(()=>{location.href="/b"},800)</script>`,
    );
    const chromium = startPlainChromium(site.url);
    try {
      const shown = await site.asked("/shown", 2);
      assert.deepEqual(shown.slice(0, 2), ["/shown?false", "/shown?true"], "Chromium restored it");
      const [first, again] = await watch(site).arrived("pageview", 2);
      assert.equal(again.page_url, first.page_url);
      assert.notEqual(again.page_view_id, first.page_view_id);
    } finally {
      await chromium.stop();
    }
  });
});
