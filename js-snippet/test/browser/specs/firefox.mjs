// The same snippet in Firefox: what other engines do in their own way.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { refusal } from "../../../../tests/browser/proxy.mjs";
import { eventually } from "../../../../tests/browser/stage.mjs";
import { startFirefox } from "../firefox.mjs";
import { proxy, serve, tag, watch } from "../stage.mjs";

describe("firefox", () => {
  let firefox;
  before(async () => {
    firefox = await startFirefox();
    console.log(`Firefox ${firefox.version}`);
  });
  after(() => firefox.stop());

  /** A page of its own site, in a tab. */
  async function open({ attributes, body = "<p>Hello</p>", preload, browser = firefox, file } = {}) {
    const site = await serve(`<!doctype html><html lang="en"><meta charset="utf-8"><title>A page</title>${tag(attributes, file)}<body>${body}</body></html>`);
    const tab = await browser.tab(preload);
    await tab.goto(`${site.url}/`);
    return { site, tab, ...watch(site) };
  }

  const ENDS = {
    "that is closed": ({ tab }) => tab.close(),
    "that is left": async ({ tab }) => (await tab.goto("about:blank"), tab.close()),
  };
  for (const [name, end] of Object.entries(ENDS)) {
    test(`a page ${name} tells its view, and how far it was read`, async () => {
      const opened = await open();
      const [view] = await opened.arrived("pageview");
      assert.equal(view.page_title, "A page");
      assert.ok(view.os_timezone && view.screen_width > 0 && view.page_language === "en");
      await end(opened);
      const [told] = await opened.arrived("engagement");
      assert.equal(told.page_view_id, view.page_view_id);
      assert.ok(told.scroll_percent > 0);
      assert.equal(opened.accepted("pageview").length, 1);
    });
  }

  test("a link to another host is told by the page that it leaves", async () => {
    const other = await serve("<!doctype html><title>Other</title>");
    const { tab, arrived } = await open({ body: `<a id="out" href="${other.url}/x">out</a>` });
    await arrived("pageview");
    await tab.evaluate(`() => document.getElementById("out").click()`);
    const [told] = await arrived("outbound_click");
    assert.equal(told.props.url, `${other.url}/x`);
    await other.asked("/x");
    await tab.close();
  });

  test("a form is told by its id, and nothing of what was typed", async () => {
    const { site, tab, arrived } = await open({ body: '<form id="f" action="/done"><input name="id" value="secret"><button id="b">go</button></form>' });
    await arrived("pageview");
    await tab.evaluate(`() => document.getElementById("b").click()`);
    const [told] = await arrived("form_submit");
    assert.deepEqual(told.props, { form_id: "f", form_action: "/done" });
    await site.asked("/done");
    await tab.close();
  });

  for (const [how, preload] of [["by the Navigation API"], ["by history", "() => { delete window.navigation; }"]]) {
    test(`a navigation inside the document is a view, ${how}`, async () => {
      const { site, tab, arrived, accepted } = await open({ preload });
      await arrived("pageview");
      assert.equal(await tab.evaluate(`() => typeof window.navigation`), preload ? "undefined" : "object");
      await tab.evaluate(`() => { history.replaceState({}, "", "/?filter=1"); history.pushState({}, "", "/second"); }`);
      await arrived("pageview", 2);
      await tab.evaluate(`() => history.back()`);
      const views = await arrived("pageview", 3);
      assert.deepEqual(views.map(({ page_url }) => page_url.slice(site.url.length)), ["/", "/second", "/?filter=1"]);
      assert.equal(views[1].referer_url, views[0].page_url);
      await tab.close();
      assert.equal(accepted("pageview").length, 3);
    });
  }

  test("where storage is switched off everything else is told", async () => {
    const without = await startFirefox({ "dom.storage.enabled": false });
    try {
      const { tab, arrived } = await open({ browser: without, file: "t.full.js", attributes: 'data-weir-storage="local" data-weir-offline' });
      assert.equal(await tab.evaluate(`() => { try { return typeof localStorage.getItem } catch { return "none" } }`), "none");
      const [view] = await arrived("pageview");
      assert.equal("user_domain_id" in view, false);
      await tab.evaluate(`() => { weir.track("own"); weir.flush(); }`);
      await arrived("own");
    } finally {
      await without.stop();
    }
  });

  test("a gateway that is away is asked again, and each event arrives once", async () => {
    const { site, tab, arrived, accepted } = await open();
    await arrived("pageview");
    proxy.break(site.url, async () => refusal(503, 1));
    await tab.evaluate(`() => { weir.track("own"); weir.flush(); }`);
    await eventually("a refusal", () => proxy.requests(site.url).some(({ status }) => status === 503));
    proxy.mend(site.url);
    await arrived("own");
    await tab.close();
    assert.equal(accepted("own").length, 1);
  });
});
