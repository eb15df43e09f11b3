// What can be told without a page. None of the modules touches one when it is loaded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

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

test("an id is one by any clock", async () => {
  const { uuidv7 } = await load("ids");
  for (const time of [0, 1, 2 ** 28, Date.UTC(2003, 0, 1), 2 ** 48 - 1]) {
    const id = uuidv7(time);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(parseInt(id.replace("-", "").slice(0, 12), 16), time);
  }
});

test("ids of one moment do not meet", async () => {
  const { uuidv7 } = await load("ids");
  assert.equal(new Set(Array.from({ length: 20_000 }, () => uuidv7(1))).size, 20_000);
});

test("pages are told apart by what was asked for", async () => {
  const { pageKey, configure } = await load("navigation", "settings");
  const key = (path, settings = {}) => {
    configure(settings);
    return pageKey(new URL(path, "https://a.example").href);
  };
  assert.equal(key("/a?utm=1#x"), key("/a?utm=2#y"));
  assert.notEqual(key("/a"), key("/b"));
  assert.notEqual(key("/a#x", { hash: "" }), key("/a#y", { hash: "" }));
  assert.notEqual(key("/a?page=1", { query: "q page" }), key("/a?page=2", { query: "q page" }));
  assert.equal(key("/a?page=1&x=1", { query: "page" }), key("/a?x=2&page=1", { query: "page" }));
});

test("without words everything is watched, with them only what they say", async () => {
  const { watches, configure } = await load("settings");
  for (const [auto, expected] of [[undefined, true], ["", false], ["pageviews  forms", true], ["pageviews", false]]) {
    configure(auto === undefined ? {} : { auto });
    assert.equal(watches("forms"), expected, auto);
  }
});

test("only what time can help is tried again", async () => {
  const { isTemporary } = await load("queue");
  for (const status of [400, 401, 403, 404, 413, 415, 422]) assert.equal(isTemporary(status), false, status);
  for (const status of [0, 408, 429, 500, 503]) assert.equal(isTemporary(status), true, status);
});

test("waits grow by chance, over what the gateway asks for, and not without bound", async () => {
  const { backoffMs } = await load("queue");
  assert.equal(backoffMs(0, 7, 0), 7_000);
  assert.equal(backoffMs(3, 7, 1), 15_000);
  assert.equal(backoffMs(500, 0, 1), 64_000);
  assert.equal(backoffMs(5, 0, 0), 0, "full jitter begins at nothing");
});

test("values of parameters are taken out, wherever they are, and nothing else", async () => {
  const { redacted } = await load("scrub");
  const address = "https://a.example/token=1?token=secret&tokens=2&b=token#access=x&token=y";
  const expected = "https://a.example/token=1?token=removed&tokens=2&b=token#access=removed&token=removed";
  assert.equal(redacted(address, "token access"), expected);
});

test("layout shifts count by bursts, and the largest burst stands", async () => {
  const { addShift } = await load("vitals");
  const shift = (startTime, value) => addShift({ startTime, value });
  assert.equal(shift(5_000, 0.1), 0.1);
  assert.ok(Math.abs(shift(5_900, 0.1) - 0.2) < 1e-9, "less than a second later: the same burst");
  assert.ok(Math.abs(shift(7_000, 0.15) - 0.2) < 1e-9, "a gap begins another, smaller one");
  for (let at = 8_000; at <= 11_800; at += 900) shift(at, 0.01);
  assert.ok(shift(12_100, 0.01) < 0.21, "a burst ends after five seconds");
});

test("one slow interaction in fifty is forgiven", async () => {
  const { typicalWorst } = await load("vitals");
  assert.equal(typicalWorst([]), undefined);
  assert.equal(typicalWorst([40, 200, 80]), 200);
  assert.equal(typicalWorst([...Array(49).fill(40), 900]), 40);
});

test("signs of a program are a mask whose first bit is the browser's own word", async (context) => {
  const { botSigns } = await load("hints");
  const look = (navigator, outerWidth) => {
    for (const [name, value] of Object.entries({ navigator, outerWidth })) {
      Object.defineProperty(globalThis, name, { value, configurable: true });
      context.after(() => delete globalThis[name]);
    }
    return botSigns();
  };
  assert.equal(look({ languages: ["de"] }, 900), 0);
  assert.equal(look({ webdriver: true, languages: ["de"] }, 900), 1);
  assert.equal(look({ languages: [] }, 0), 6);
});
