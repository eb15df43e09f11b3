// When a page is another one: routers, hashes, titles, the cache, prerendering.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startPlainChromium } from "../plain-chromium.mjs";
import { open, serve, tag, watch } from "../stage.mjs";

const paths = (views) => views.map((view) => new URL(view.page_url).pathname + new URL(view.page_url).hash);

describe("navigation", { concurrency: 6 }, () => {
  test("a router that replaces and pushes in one go is one view (vuejs/router#960)", async () => {
    const { page, arrived, settled } = await open();
    await page.evaluate(() => {
      history.replaceState({}, "", location.href);
      history.pushState({}, "", "/second");
    });
    const [first, second] = await arrived("pageview", 2);
    await settled(page);
    assert.deepEqual(paths(await arrived("pageview")), ["/", "/second"]);
    assert.equal(second.referer_url, first.page_url, "a later view comes from the view before");
    assert.notEqual(second.page_view_id, first.page_view_id);
    await page.close();
  });

  test("a filter that rewrites the query is no view, unless the parameter was named", async () => {
    const { page, accepted, arrived, settled } = await open({ attributes: 'data-weir-query="page"' });
    await page.evaluate(() => history.replaceState({}, "", "/?filter=red"));
    await settled(page);
    assert.equal(accepted("pageview").length, 1);
    await page.evaluate(() => history.pushState({}, "", "/?filter=red&page=2"));
    await arrived("pageview", 2);
    await page.close();
  });

  test("a redirect by replace is a view of where it leads (plausible-tracker#18)", async () => {
    const { page, arrived, settled } = await open();
    await page.evaluate(() => {
      history.pushState({}, "", "/old");
      history.replaceState({}, "", "/new");
    });
    await arrived("pageview", 2);
    await settled(page);
    assert.deepEqual(paths(await arrived("pageview")), ["/", "/new"]);
    await page.evaluate(() => history.replaceState({}, "", "/late"));
    assert.deepEqual(paths(await arrived("pageview", 3)), ["/", "/new", "/late"]);
    await page.close();
  });

  test("going back by a hash fires two events and is one view (plausible-tracker#58)", async () => {
    const { page, arrived, settled } = await open({ attributes: "data-weir-hash" });
    await page.evaluate(() => (location.hash = "#a"));
    await arrived("pageview", 2);
    await page.evaluate(() => history.back());
    await arrived("pageview", 3);
    await settled(page);
    assert.deepEqual(paths(await arrived("pageview")), ["/", "/#a", "/"]);
    await page.close();
  });

  test("without being asked a hash is no page", async () => {
    const { page, accepted, settled } = await open();
    await page.evaluate(() => (location.hash = "#chapter"));
    await settled(page);
    assert.equal(accepted("pageview").length, 1);
    await page.close();
  });

  test("the title is that of the new page, which comes after its address", async () => {
    const { page, arrived } = await open();
    await page.evaluate(() => {
      history.pushState({}, "", "/second");
      setTimeout(() => (document.title = "Second"), 10);
    });
    const [first, second] = await arrived("pageview", 2);
    assert.deepEqual([first.page_title, second.page_title], ["A page", "Second"]);
    await page.close();
  });

  test("history is left alone where the Navigation API is", async () => {
    const { page } = await open();
    assert.ok(await page.evaluate(() => /native code/.test(history.pushState)));
    await page.close();
  });

  test("without it history is wrapped: it goes first, its refusal is the page's, and no view", async () => {
    const init = () => {
      delete window.navigation;
      const native = history.pushState;
      history.pushState = function (...parameters) {
        native.apply(this, parameters);
        return "another wrapper's answer";
      };
    };
    const { page, arrived, settled, errors } = await open({ init });
    const seen = await page.evaluate(() => {
      const before = location.pathname;
      let refused = false;
      try {
        history.pushState({}, "", "https://other.example/");
      } catch (error) {
        refused = error.name === "SecurityError";
      }
      return { refused, before, answer: history.pushState({ a: 1 }, "", "/second"), after: location.pathname };
    });
    assert.deepEqual(seen, { refused: true, before: "/", answer: "another wrapper's answer", after: "/second" });
    await arrived("pageview", 2);
    await page.goBack();
    await arrived("pageview", 3);
    await settled(page);
    assert.deepEqual(paths(await arrived("pageview")), ["/", "/second", "/"]);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("a page left right after a navigation has told it", async () => {
    const { page, arrived } = await open();
    await arrived("pageview");
    // Later, or the answer that this was evaluated may go with the page, and is waited for without end.
    await page.evaluate(() => {
      setTimeout(() => {
        history.pushState({}, "", "/fleeting");
        location.href = "about:blank";
      });
    });
    const views = await arrived("pageview", 2);
    // A request that the browser breaks off as the page goes is sent again, with the same ids.
    assert.equal(new Set(views.map(({ event_id }) => event_id)).size, 2);
    assert.deepEqual([...new Set(paths(views))], ["/", "/fleeting"]);
    await page.close();
  });

  test("a restored page is seen again, by an event made by hand (plausible#4656)", async () => {
    const { page, arrived } = await open();
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    const [first, again] = await arrived("pageview", 2);
    assert.equal(again.page_url, first.page_url);
    assert.notEqual(again.page_view_id, first.page_view_id);
    await page.close();
  });

  test("a prerendered page is seen when it is shown, not before", async () => {
    const rules = '<script type="speculationrules">{"prerender":[{"urls":["/next"],"eagerness":"immediate"}]}</script>';
    // A driven page prerenders nothing: nobody drives this Chromium.
    let go;
    const told = new Promise((resolve) => (go = resolve));
    const site = await serve(async (path) =>
      path === "/go"
        ? told
        : path === "/next"
        ? `<!doctype html><title>Next</title>${tag()}<script>addEventListener("load",()=>{weir.track("loaded");fetch("/started?"+document.prerendering)})</script>`
        : `<!doctype html><title>First</title>${rules}${tag()}<script>
            fetch("/go").then(() => weir.track("going", { callback: () => (location.href = "/next") }))</script>`,
    );
    const chromium = startPlainChromium(site.url);
    try {
      assert.deepEqual(await site.asked("/started"), ["/started?true"], "Chromium prerenders it");
      const { accepted, arrived } = watch(site);
      await arrived("pageview");
      assert.deepEqual(paths(accepted("pageview")), ["/"]);
      go();
      const [, next] = await arrived("pageview", 2);
      const [loaded] = await arrived("loaded");
      const [going] = await arrived("going");
      assert.equal(new URL(next.page_url).pathname, "/next");
      assert.equal(loaded.page_view_id, next.page_view_id);
      assert.ok(loaded.sent_at >= going.event_timestamp && loaded.event_timestamp < going.event_timestamp, "held until it was shown");
    } finally {
      await chromium.stop();
    }
  });

  test("a page opened behind is seen when it is looked at", async () => {
    const init = () => {
      window.shown = false;
      Object.defineProperty(document, "hidden", { get: () => !window.shown });
      Object.defineProperty(document, "visibilityState", { get: () => (window.shown ? "visible" : "hidden") });
    };
    const { page, accepted, arrived, settled } = await open({ init });
    await settled(page);
    assert.deepEqual(accepted("pageview"), []);
    await page.evaluate(() => {
      window.shown = true;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await arrived("pageview");
    await page.close();
  });

  test("a page that was never seen tells nothing when it goes", async () => {
    const init = () => {
      Object.defineProperty(document, "hidden", { get: () => true });
      Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
    };
    const { page, site } = await open({ init });
    await page.goto("about:blank");
    await page.waitForTimeout(500);
    assert.deepEqual(watch(site).accepted("engagement"), []);
    await page.close();
  });
});

