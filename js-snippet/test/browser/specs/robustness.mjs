// Pages that do strange things: none is harmed by the snippet, and none stops it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { open, proxy } from "../stage.mjs";

describe("robustness", { concurrency: 6 }, () => {
  test("one global, and a second load only warns", async () => {
    const twice = `<script src="${proxy.url}/t.js"></script>`;
    const before = () => (window.before = new Set(Object.getOwnPropertyNames(window)));
    const { page, arrived, accepted, settled, warnings, errors } = await open({ init: before, head: twice });
    await arrived("pageview");
    await page.evaluate((url) => {
      const again = document.createElement("script");
      again.src = url;
      document.head.append(again);
      return new Promise((resolve) => (again.onload = resolve));
    }, `${proxy.url}/t.full.js`);
    await settled(page);
    assert.equal(accepted("pageview").length, 1);
    assert.deepEqual(warnings.filter((text) => /weir/.test(text)), ["weir: loaded twice", "weir: loaded twice"]);
    const added = await page.evaluate(() => Object.getOwnPropertyNames(window).filter((name) => !window.before.has(name)));
    assert.deepEqual(added.filter((name) => name !== "before"), ["weir"]);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("a strict policy needs one origin in two directives", async () => {
    const policy = `default-src 'none'; script-src ${proxy.url}; connect-src ${proxy.url}; require-trusted-types-for 'script'`;
    const headers = { "content-security-policy": policy };
    const { page, arrived, errors } = await open({ headers, file: "t.full.js", attributes: 'data-weir-storage="local"' });
    await arrived("pageview");
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("a polluted Object.prototype changes nothing", async () => {
    const init = () => {
      for (const name of ["polluted", "consent", "status", "auto", "storage", "q", "props", "url"]) Object.prototype[name] = "yes";
    };
    const { page, arrived, errors, context } = await open({ init, file: "t.full.js" });
    await page.evaluate(() => weir.track("still", { props: { n: 1 }, url: location.href }));
    const [event] = await arrived("still");
    await arrived("pageview");
    assert.deepEqual(event.props, { n: 1 });
    assert.deepEqual(["polluted", "consent"].filter((name) => name in event), []);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    assert.deepEqual(errors, []);
    await context.close();
  });

  test("frozen prototypes change nothing", async () => {
    const init = () => {
      for (const { prototype } of [Object, Array, Function, Promise, Map, Set, String, History, EventTarget]) Object.freeze(prototype);
    };
    const { page, arrived, errors } = await open({ init, file: "t.full.js" });
    assert.equal((await page.evaluate(() => weir.track("still"))).length, 36);
    await arrived("still");
    await arrived("pageview");
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("a history that is frozen, where there is no Navigation API, is watched by its events", async () => {
    const init = () => {
      delete window.navigation;
      Object.freeze(history);
      Object.freeze(History.prototype);
    };
    const { page, arrived, errors } = await open({ init, attributes: "data-weir-hash" });
    await arrived("pageview");
    await page.evaluate(() => (location.hash = "#a"));
    await arrived("pageview", 2);
    assert.deepEqual(errors, []);
    await page.close();
  });

  for (const [what, broken] of [
    ["throws", () => (window.fetch = () => { throw new Error("patched"); })],
    ["returns nothing", () => (window.fetch = () => {})],
    ["rejects", () => (window.fetch = () => Promise.reject(new Error("patched")))],
  ]) {
    test(`a fetch that ${what} harms nobody, and going away is tried all the same`, async () => {
      const { page, arrived, errors } = await open({ init: broken });
      assert.equal(await page.evaluate(() => typeof weir.track("patched")), "string");
      await page.waitForTimeout(200);
      if (what === "throws") {
        await page.goto("about:blank");
        await arrived("patched");
      }
      assert.deepEqual(errors, []);
      await page.close();
    });
  }

  test("values that cannot be sent harm only their event", async () => {
    const { page, arrived, errors, warnings } = await open();
    await page.evaluate(() => {
      const circle = {};
      circle.circle = circle;
      weir.track("circular", { props: { circle } });
      weir.track("big", { props: { big: 1n } });
      weir.track("fine", { props: { text: '"$&$1</script>\u2028' } });
      weir("no such verb");
      weir.track("thrown", { callback: () => {} });
    });
    const [fine] = await arrived("fine");
    assert.equal(fine.props.text, '"$&$1</script>\u2028');
    await arrived("thrown");
    assert.deepEqual(errors, []);
    assert.equal(warnings.filter((text) => /^weir:/.test(text)).length, 3);
    await page.close();
  });

  test("a hook that throws drops its event and nothing else; null drops, a change is sent", async () => {
    const { page, arrived, accepted, errors } = await open();
    await page.evaluate(() => {
      weir.beforeSend = (event) => {
        if (event.event_type === "bad") throw new Error("hook");
        if (event.event_type === "unwanted") return null;
        return { ...event, page_title: "Changed" };
      };
      for (const name of ["bad", "unwanted", "good"]) weir.track(name);
      weir.flush();
    });
    const [good] = await arrived("good");
    assert.equal(good.page_title, "Changed");
    assert.deepEqual([accepted("bad"), accepted("unwanted")], [[], []]);
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("an element with the name of the global is in nobody's way", async () => {
    const { page, arrived, errors } = await open({ head: '<a id="weir"></a>' });
    await arrived("pageview");
    assert.equal(await page.evaluate(() => typeof weir.track), "function");
    assert.deepEqual(errors, []);
    await page.close();
  });

  test("pages that are excluded tell nothing, and named parameters lose their values", async () => {
    const attributes = 'data-weir-exclude="/admin /preview/" data-weir-redact="token email"';
    const { page, site, arrived, accepted, settled } = await open({ attributes, path: "/a?token=secret&q=x" });
    const [view] = await arrived("pageview");
    assert.equal(view.page_url, `${site.url}/a?token=removed&q=x`);
    await page.evaluate(() => history.pushState({}, "", "/admin/users?email=me@b.example"));
    await page.waitForTimeout(300);
    await page.evaluate(() => history.pushState({}, "", "/b"));
    await arrived("pageview", 2);
    await settled(page);
    assert.deepEqual(accepted("pageview").map(({ page_url }) => new URL(page_url).pathname), ["/a", "/b"]);
    assert.deepEqual(accepted("engagement").map(({ page_url }) => new URL(page_url).pathname), ["/a"]);
    assert.equal(typeof (await page.evaluate(() => weir.ids().page_view_id)), "string");
    assert.ok(!proxy.requests(site.url).some(({ body }) => /secret|me@b/.test(body)));
    await page.close();
  });

  test("its own files are each what they say", async () => {
    for (const file of ["t.core.js", "t.full.js"]) {
      const { page, arrived } = await open({ file });
      await arrived("pageview");
      await page.evaluate(() => weir.track("own"));
      await arrived("own");
      await page.close();
    }
  });

  test("the manifest's digests and addresses are those of the files", async () => {
    const manifest = await (await fetch(`${proxy.url}/t.integrity.json`)).json();
    assert.deepEqual(Object.keys(manifest).sort(), ["/t.core.js", "/t.full.js", "/t.js"]);
    for (const [path, { immutable, integrity }] of Object.entries(manifest)) {
      const [plain, fixed] = await Promise.all([path, immutable].map((name) => fetch(proxy.url + name)));
      assert.equal(await plain.text(), await fixed.text());
      assert.match(fixed.headers.get("cache-control"), /immutable/);
      const head = `<script src="${proxy.url}${immutable}" integrity="${integrity}" crossorigin="anonymous"></script>`;
      const { page, arrived, errors } = await open({ head, file: "missing.js" });
      await arrived("pageview");
      assert.deepEqual(errors, []);
      await page.close();
    }
  });
});
