// The recipes of docs/snippet.md, each tried on a small site of the framework.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { build } from "esbuild";
import { eventually } from "../../../../tests/browser/stage.mjs";
import { open, proxy, serve, tag } from "../stage.mjs";

const FOLDER = new URL("../../frameworks/", import.meta.url).pathname;

/** The script of a site, bundled as its authors would. */
async function bundled(name) {
  const { outputFiles } = await build({
    entryPoints: [FOLDER + name],
    bundle: true,
    write: false,
    minify: true,
    jsx: "automatic",
    define: {
      "process.env.NODE_ENV": '"development"', // StrictMode does what it does in this one only.
      __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    alias: { "weir-snippet": new URL("../../../dist/index.js", import.meta.url).pathname },
  });
  return outputFiles[0].text;
}

/** A site of one page, whatever the address. */
async function singlePage(name, head) {
  const script = await bundled(name);
  return serve((path) =>
    path === "/site.js"
      ? script
      : `<!doctype html><html lang="en"><meta charset="utf-8"><title>Home</title>${head}<script defer src="/site.js"></script><div id="root"></div></html>`,
  );
}

/** A site whose every page comes from the server. */
const manyPages = (script, head, foot = "") =>
  serve((path) => {
    const [name] = path.split("?");
    if (name === "/site.js") return script;
    const title = { "/": "Home", "/second": "Second", "/new": "New" }[name] ?? "Missing";
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>${head}
      <body><h1>${title}</h1><a id="home" href="/">Home</a> <a id="second" href="/second">Second</a> <a id="new" href="/new">New</a>
      <button id="back" onclick="history.back()">Back</button>
      <button id="filter" onclick="history.replaceState(history.state,'','?color=red')">Red</button>
      <button id="own" onclick="weir.track('own')">Own event</button>${foot}</body></html>`;
  });

const paths = (views) => views.map(({ page_url }) => new URL(page_url).pathname);

/**
 * Goes around a site by `steps`: what is clicked, and the path and title that follow, where it leads to
 * a view. Views are told once each, in order, and by `hasTitles` with the titles of their pages.
 */
async function goAround({ page, arrived, settled, errors }, steps, hasTitles = true) {
  const expected = [["/", "Home"]];
  await arrived("pageview");
  for (const [step, ...view] of steps) {
    await page.click(step);
    if (view.length === 0) {
      await settled(page);
      continue;
    }
    expected.push(view);
    await page.waitForFunction((title) => document.querySelector("h1")?.textContent === title, view[1]);
    await arrived("pageview", expected.length);
  }
  await page.click("#own");
  await arrived("own");
  await settled(page);
  const views = await arrived("pageview");
  assert.deepEqual(paths(views), expected.map(([path]) => path));
  if (hasTitles) assert.deepEqual(views.map(({ page_title }) => page_title), expected.map(([, title]) => title));
  assert.equal(new Set(views.map(({ page_view_id }) => page_view_id)).size, views.length);
  assert.deepEqual(errors, []);
  return views;
}

const ROUND = [["#second", "/second", "Second"], ["#filter"], ["#old", "/new", "New"], ["#back", "/second", "Second"], ["#home", "/", "Home"]];

/** Browsers without the Navigation API are watched by a wrapped history. */
const BROWSERS = { "by the Navigation API": undefined, "by history": () => delete window.navigation };

describe("frameworks", { concurrency: 4 }, () => {
  test("the recipes are lines of the sites that are tried here", () => {
    const docs = readFileSync(new URL("../../../../docs/snippet.md", import.meta.url), "utf8");
    const section = docs.split("\n## ").find((text) => text.startsWith("Frameworks\n"));
    const recipes = section.split("\n### ").slice(1);
    assert.equal(recipes.length, 5);
    for (const recipe of recipes) {
      const site = /\]\(\.\.\/js-snippet\/test\/([\w/.-]+)\)/.exec(recipe)[1];
      const source = readFileSync(new URL(`../../${site}`, import.meta.url), "utf8");
      const lines = [...recipe.matchAll(/```js\n(.*?)```/gs)].flatMap(([, code]) => code.split("\n"));
      for (const line of lines) assert.ok(source.includes(line.trim()), `${site}: ${line}`);
      // A tag's attributes are those of a tag here.
      for (const [, attributes] of recipe.matchAll(/<script defer src="[^"]+" ?([^>]*)>/g)) {
        assert.ok(readFileSync(import.meta.filename, "utf8").includes(attributes), attributes);
      }
    }
  });

  for (const [how, init] of Object.entries(BROWSERS)) {
    test(`React, react-router, the module, ${how}`, async () => {
      const endpoint = `<script>window.endpoint = ${JSON.stringify(`${proxy.url}/collect`)}</script>`;
      const opened = await open({ site: await singlePage("react.jsx", endpoint), init });
      // There is no global: the site's own button tells the marker.
      opened.settled = async (page) => {
        await page.waitForTimeout(800);
        const count = opened.accepted("own").length + 1;
        await page.click("#own");
        await opened.arrived("own", count);
      };
      // Its titles come in effects, on a machine with enough to do after the view was told.
      const views = await goAround(opened, ROUND, false);
      assert.ok(views.every(({ site }) => site === "shop"));
      assert.equal(await opened.page.evaluate(() => typeof weir), "undefined");
      await opened.page.close();
    });

    test(`Vue, its router, ${how}`, async () => {
      const opened = await open({ site: await singlePage("vue.js", tag()), init });
      const views = await goAround(opened, ROUND);
      assert.equal(views[1].referer_url, views[0].page_url);
      await opened.page.close();
    });

    test(`history as Next uses it, ${how}`, async () => {
      const opened = await open({ site: await singlePage("next-like.js", tag()), init });
      const views = await goAround(opened, ROUND);
      assert.equal(views[1].referer_url, views[0].page_url);
      await opened.page.close();
    });
  }

  const TURBO = [["#second", "/second", "Second"], ["#filter"], ["#new", "/new", "New"], ["#back", "/second", "Second"]];

  test("Turbo, which says when a page is shown", async () => {
    const head = `${tag('data-weir-auto="engagement outbound downloads forms"')}<script defer src="/site.js"></script>`;
    const opened = await open({ site: await manyPages(await bundled("turbo.js"), head) });
    await goAround(opened, TURBO);
    await opened.page.close();
  });

  test("Turbo, which runs the scripts of a body again", async () => {
    const script = (await bundled("turbo.js")).replace("weir.page()", "0");
    const opened = await open({ site: await manyPages(script, '<script defer src="/site.js"></script>', tag()) });
    await goAround(opened, TURBO, false);
    assert.ok(opened.warnings.includes("weir: loaded twice"), "it did");
    await opened.page.close();
  });

  test("plain pages", async () => {
    const opened = await open({ site: await manyPages("", tag()) });
    const views = await goAround(opened, [["#second", "/second", "Second"], ["#filter"], ["#new", "/new", "New"]]);
    assert.equal(views[1].referer_url, views[0].page_url, "by the browser's own word");
    await opened.page.close();
  });
});
