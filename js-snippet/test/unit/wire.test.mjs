// The wire format's schema against the cases that the gateway's tests post, and against what the
// tracker makes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import Ajv from "ajv/dist/2020.js";
import { load } from "./load.mjs";

const read = (name) => JSON.parse(readFileSync(new URL(`../../../event/wire/${name}`, import.meta.url)));
const fits = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(read("schema.json"));

test("every case of the wire format fits the schema or does not, as it says", () => {
  for (const { name, body, fits: expected } of read("cases.json")) {
    assert.equal(fits(body), expected, `${name}: ${JSON.stringify(fits.errors)}`);
  }
});

test("what the tracker posts fits the schema", async (context) => {
  const bodies = [];
  const globals = {
    window: globalThis,
    addEventListener: () => {},
    setInterval: () => {}, // The heartbeat would keep the test from ending.
    location: new URL("https://a.example/p?x=1"),
    document: { title: "A page", referrer: "https://b.example/", hidden: false, documentElement: { lang: "en", scrollHeight: 10 }, hasFocus: () => true },
    navigator: { language: "de-CH", languages: ["de-CH"], onLine: true, maxTouchPoints: 5 },
    screen: { width: 1280, height: 720 },
    scrollY: 0,
    innerHeight: 10,
    outerWidth: 10,
    history: { pushState() {}, replaceState() {} },
    sessionStorage: { getItem: () => null, setItem() {} },
    localStorage: { getItem: () => null },
    fetch: async (_, { body }) => (bodies.push(JSON.parse(body)), { status: 204, headers: { get: () => null } }),
  };
  for (const [name, value] of Object.entries(globals)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    context.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }
  const { init, track, page, identify, flush, visitor, clientHints, engagement, notFound } = await load("index");
  const settings = { site: "shop", storage: "session", consent: "granted", status: 404, props: { tier: "gold" } };
  init(settings, visitor, clientHints, engagement, notFound);
  identify("jane@example.com", { role: "admin" });
  track("purchase", { revenue: { amount: 12.5, currency: "EUR" }, props: { items: 3, gift: true } });
  page({ url: "https://a.example/virtual" });
  flush();
  // What waits for a turn of its own has had it.
  await new Promise((resolve) => setTimeout(resolve, 10));
  const types = bodies.flatMap(({ events }) => events.map((event) => event.event_type));
  assert.deepEqual(types.sort(), ["engagement", "not_found", "pageview", "pageview", "purchase"]);
  for (const body of bodies) assert.ok(fits(body), `${JSON.stringify(fits.errors)} ${JSON.stringify(body)}`);
});
