// Units of the snippet, bundled one by one: none of them touches a page when it is loaded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

async function load(name) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`../src/${name}.ts`, import.meta.url).pathname],
    bundle: true,
    write: false,
    format: "esm",
  });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}

test("ids are UUIDv7 and sort by time", async () => {
  const { uuidv7 } = await load("ids");
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const time = Date.UTC(2026, 0, 31);
  const ids = Array.from({ length: 1000 }, (_, n) => uuidv7(time + n));
  ids.forEach((id) => assert.match(id, form));
  assert.equal(new Set(ids).size, 1000);
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(parseInt(ids[0].replace("-", "").slice(0, 12), 16), time);
});

test("pages are told apart by what was asked for", async () => {
  const { pageKey } = await load("navigation");
  const key = (url, config = {}) => pageKey(`https://a.example${url}`, { hash: false, query: [], ...config });
  assert.equal(key("/a?utm=1#x"), key("/a?utm=2#y"));
  assert.notEqual(key("/a"), key("/b"));
  assert.notEqual(key("/a#x", { hash: true }), key("/a#y", { hash: true }));
  assert.notEqual(key("/a?page=1", { query: ["page"] }), key("/a?page=2", { query: ["page"] }));
  assert.equal(key("/a?page=1&x=1", { query: ["page"] }), key("/a?x=2&page=1", { query: ["page"] }));
});

test("only what can help is tried again, and not for ever", async () => {
  const { shouldRetry, backoffMs } = await load("queue");
  for (const status of [400, 401, 403, 404, 413, 415, 422]) assert.equal(shouldRetry(status, 1), false, status);
  for (const status of [408, 429, 500, 503]) {
    assert.equal(shouldRetry(status, 1), true, status);
    assert.equal(shouldRetry(status, 5), false, status);
  }
  assert.equal(shouldRetry(0, 2), true);
  assert.equal(shouldRetry(0, 3), false);
  assert.ok(backoffMs(0, 7, 0) >= 7000, "Retry-After is waited for");
  assert.ok(backoffMs(3, 0, 1) > backoffMs(0, 0, 1));
});
