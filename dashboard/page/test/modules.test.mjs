// Units of the page, bundled one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

async function load(name) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`../src/${name}`, import.meta.url).pathname],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { innerWidth: "1200" },
  });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}

test("what steers text is shown, what is long is cut", async () => {
  const { safe } = await load("format.ts");
  assert.equal(safe("a\u202eb\u0007"), "a\\u202eb\\u0007");
  assert.equal(safe("<b>"), "<b>");
  assert.equal([...safe("😀".repeat(100), 10)].length, 10);
  assert.equal(safe(undefined), "");
  assert.equal(safe({ a: 1 }), '{"a":1}');
});

test("metrics are read with their labels", async () => {
  const { parse, health, quantile } = await load("metrics.ts");
  const text = (count) => `# HELP x y
weir_gateway_events_total{outcome="accepted",code="none"} ${count}
weir_stream_lag{stage="sink"} 7
weir_dead_letters_total{stage="gateway",code="too_old"} 2
weir_end_to_end_seconds_bucket{le="0.5"} ${count / 2}
weir_end_to_end_seconds_bucket{le="1.0"} ${count}
weir_end_to_end_seconds_bucket{le="+Inf"} ${count}
odd{a="quote \\" and \\\\ and , }"} 1
# EOF
`;
  const samples = parse(text(10));
  assert.equal(samples.find(({ name }) => name === "odd").labels.a, 'quote " and \\ and , }');
  const [before, after] = [health(samples, 0), health(parse(text(20)), 1000)];
  assert.equal(before.stages[0].total, 10);
  assert.equal(before.stages[2].lag, 7);
  assert.deepEqual(before.deadLetters, [{ stage: "gateway", code: "too_old", count: 2 }]);
  assert.equal(quantile(before, after, 0.5), 0.5);
  assert.equal(quantile(before, after, 0.99), 1);
  assert.equal(quantile(after, after, 0.5), undefined);
});

test("bars without events are filled in", async () => {
  const { read, RANGES } = await load("query.ts");
  const range = RANGES[0];
  const now = Date.UTC(2026, 0, 31, 12, 0, 7);
  const at = Math.floor(now / range.intervalMs) * range.intervalMs;
  const raw = {
    hits: { total: { value: 3 }, hits: [] },
    aggregations: { time: { buckets: [{ key: at, doc_count: 3, visitors: { value: 2 } }] } },
  };
  const { bars } = read(raw, range, now);
  assert.equal(bars.length, 60);
  assert.deepEqual(bars.at(-1), { at, events: 3, visitors: 2 });
  assert.equal(bars[0].events, 0);
});

test("an axis ends on a round number above its values", async () => {
  const { ceiling } = await load("chart.tsx");
  for (const [value, expected] of [[0, 4], [3, 4], [7, 10], [11, 20], [399, 400], [501, 1000]]) {
    assert.equal(ceiling(value), expected, value);
  }
});
