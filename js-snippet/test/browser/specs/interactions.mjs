// Clicks and forms, and that nothing is held up by them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { open, proxy } from "../stage.mjs";

/** Keeps the browser on the page, so that one page serves several clicks. */
const stay = '<script>addEventListener("click",(e)=>{if(e.composedPath().some((n)=>n.localName==="a"))e.preventDefault()})</script>';

const clicked = async (body, selector, options = {}) => {
  const { click, ...more } = options;
  const opened = await open({ body: body + stay, ...more });
  await opened.page.locator(selector).click(click);
  await opened.settled(opened.page);
  const told = ["outbound_click", "download", "form_submit", "tagged"].flatMap(opened.accepted);
  await opened.page.close();
  return told.map(({ event_type, props }) => [event_type, props]);
};

describe("interactions", { concurrency: 6 }, () => {
  test("a link to another host is outbound, whatever is inside it", async () => {
    const body = '<a href="http://other.example/x?y=1"><i><b><span id="deep">out</span></b></i></a>';
    assert.deepEqual(await clicked(body, "#deep"), [["outbound_click", { url: "http://other.example/x?y=1" }]]);
    assert.deepEqual(await clicked('<a id="in" href="/other">in</a>', "#in"), []);
    assert.deepEqual(await clicked('<a id="mail" href="mailto:a@b.example">mail</a>', "#mail"), []);
  });

  test("a download goes by its path in any case of letters, or by its mark, not by its query", async () => {
    const download = async (link) => (await clicked(`<a id="a" ${link}>file</a>`, "#a")).map(([name]) => name);
    assert.deepEqual(await download('href="/report.PDF?x=1"'), ["download"]);
    assert.deepEqual(await download('href="/export" download'), ["download"]);
    assert.deepEqual(await download('href="/view?file=report.pdf"'), []);
  });

  test("a link inside a drawing is a link, old and new", async () => {
    const drawing = (name) =>
      `<svg width="90" height="90"><a ${name}="http://other.example/svg"><rect id="r" width="80" height="80"/></a></svg>`;
    for (const name of ["href", "xlink:href"]) {
      assert.deepEqual(await clicked(drawing(name), "#r"), [["outbound_click", { url: "http://other.example/svg" }]]);
    }
  });

  test("a link around or inside a shadow tree is found", async () => {
    const around = `<a href="http://other.example/around"><x-icon></x-icon></a><script>
      document.querySelector("x-icon").attachShadow({mode:"open"}).innerHTML = "<button id=b>icon</button>";</script>`;
    assert.deepEqual(await clicked(around, "#b"), [["outbound_click", { url: "http://other.example/around" }]]);
    const inside = `<x-link></x-link><script>
      document.querySelector("x-link").attachShadow({mode:"open"}).innerHTML = "<a id=b href='http://other.example/in'>x</a>";</script>`;
    assert.deepEqual(await clicked(inside, "#b"), [["outbound_click", { url: "http://other.example/in" }]]);
  });

  test("links that come later count, and so do those whose clicks the page stops", async () => {
    const body = `<div id="d"></div><script>
      d.innerHTML = '<a id="late" href="http://other.example/late">late</a>';
      late.addEventListener("click", (event) => event.stopImmediatePropagation());</script>`;
    const { page, arrived, site } = await open({ body: body.replace("</script>", ";late.target='nowhere'</script>") });
    await page.click("#late");
    await arrived("outbound_click");
    assert.ok(site);
    await page.context().close();
  });

  test("the middle button opens a tab and counts, the right one does not", async () => {
    const body = '<a id="a" href="http://other.example/">out</a>';
    const middle = '<script>addEventListener("auxclick",(e)=>e.preventDefault())</script>';
    assert.equal((await clicked(body + middle, "#a", { click: { button: "middle" } })).length, 1);
    assert.equal((await clicked(body + middle, "#a", { click: { button: "right" } })).length, 0);
  });

  test("a form tells its id and action, never a value, even where fields hide them", async () => {
    const body = `<form id="login" action="/done" onsubmit="return false"><input name="id" value="secret-1">
      <input name="action" value="secret-2"><button id="s">Send</button></form>`;
    const { page, site, arrived } = await open({ body });
    await page.click("#s");
    const [{ props }] = await arrived("form_submit");
    assert.deepEqual(props, { form_id: "login", form_action: "/done" });
    assert.ok(!proxy.requests(site.url).some(({ body }) => /secret-/.test(body)));
    await page.close();
  });

  test("a tagged form is its own event, on submission and not on a click into it", async () => {
    const body = '<form data-weir-event="tagged" data-weir-prop-a="1" onsubmit="return false"><input id="i"><button id="s">x</button></form>';
    assert.deepEqual(await clicked(body, "#i"), []);
    assert.deepEqual(await clicked(body, "#s"), [["tagged", { a: "1" }]]);
  });

  test("what the author takes out is out, and words choose what is watched", async () => {
    const body = '<div data-weir-ignore><a id="a" href="http://other.example/">out</a></div>';
    assert.deepEqual(await clicked(body, "#a"), []);
    const link = '<a id="a" href="http://other.example/">out</a>';
    assert.deepEqual(await clicked(link, "#a", { attributes: 'data-weir-auto="pageviews downloads"' }), []);
  });

  test("a click is not held up by a gateway that does not answer, and arrives (plausible#2940)", async () => {
    const { page, site, arrived } = await open({ body: '<a id="a" href="/next">in</a><a id="o" href="/next.zip">file</a>' });
    await arrived("pageview");
    let release;
    const held = new Promise((resolve) => (release = resolve));
    proxy.break(site.url, async (_, forward) => {
      await held;
      return forward();
    });
    const prevented = await page.evaluate(
      () => new Promise((resolve) => addEventListener("click", (event) => resolve(event.defaultPrevented), { once: true }) ?? o.click()),
    );
    assert.equal(prevented, false);
    await page.waitForURL("**/next.zip");
    release();
    await arrived("download");
    await page.close();
  });

  test("a link into another tab opens it", async () => {
    const { page, arrived, context } = await open({ body: '<a id="a" href="http://127.0.0.1:1/x" target="_blank">out</a>' });
    const [tab] = await Promise.all([context.waitForEvent("page"), page.click("#a")]);
    await arrived("outbound_click");
    assert.ok(tab);
    await context.close();
  });
});
