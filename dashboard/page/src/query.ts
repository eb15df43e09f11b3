/** One search for the whole page, and its answer. */

/** A range that can be picked: its name, its length, and the width of a bar. */
export interface Range {
  name: string;
  ms: number;
  interval: string;
  intervalMs: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const RANGES: Range[] = [
  { name: "15 min", ms: 15 * MINUTE, interval: "15s", intervalMs: 15_000 },
  { name: "1 hour", ms: HOUR, interval: "1m", intervalMs: MINUTE },
  { name: "24 hours", ms: DAY, interval: "30m", intervalMs: 30 * MINUTE },
  { name: "7 days", ms: 7 * DAY, interval: "3h", intervalMs: 3 * HOUR },
  { name: "30 days", ms: 30 * DAY, interval: "12h", intervalMs: 12 * HOUR },
];

/** The lists of the page: a title and the field whose values it counts. */
export const LISTS = [
  { field: "page_url_path", title: "Pages" },
  { field: "event_type", title: "Events" },
  { field: "source_category", title: "Source categories" },
  { field: "channel", title: "Channels" },
  { field: "utm_source", title: "Sources" },
  { field: "geo_country", title: "Countries" },
  { field: "device_type", title: "Devices" },
  { field: "browser_name", title: "Browsers" },
  { field: "os_name", title: "Systems" },
  { field: "utm_campaign", title: "Campaigns" },
  { field: "browser_language", title: "Languages" },
  { field: "bot_name", title: "Bots" },
] as const;

export interface Filter {
  field: string;
  value: string;
}

/** The body of the search. */
export function search(range: Range, filters: Filter[], withBots: boolean): object {
  const must: object[] = [{ range: { "@timestamp": { gte: `now-${range.ms / 1000}s` } } }];
  for (const { field, value } of filters) must.push({ term: { [field]: value } });
  const lists = LISTS.map(({ field }) => [field, { terms: { field, size: 8 } }]);
  return {
    size: 12,
    track_total_hits: true,
    sort: [{ "@timestamp": "desc" }],
    query: { bool: { filter: must, must_not: withBots ? [] : [{ term: { is_bot: true } }] } },
    aggs: {
      visitors: { cardinality: { field: "user_domain_id" } },
      bots: { terms: { field: "is_bot" } },
      late: { terms: { field: "is_late" } },
      revenue: { sum: { field: "revenue_amount" } },
      time: {
        date_histogram: { field: "@timestamp", fixed_interval: range.interval },
        aggs: { visitors: { cardinality: { field: "user_domain_id" } } },
      },
      ...Object.fromEntries(lists),
    },
  };
}

export interface Row {
  value: string;
  count: number;
}

export interface Bar {
  at: number;
  events: number;
  visitors: number;
}

export interface Answer {
  events: number;
  visitors: number;
  bots: number;
  revenue: number;
  bars: Bar[];
  lists: Record<string, Row[]>;
  recent: Record<string, unknown>[];
}

interface Bucket {
  key: string | number | boolean;
  key_as_string?: string;
  doc_count: number;
  visitors?: { value: number };
}

interface Raw {
  hits: { total: { value: number }; hits: { _source: Record<string, unknown> }[] };
  aggregations?: Record<string, { value?: number; buckets?: Bucket[] }>;
}

/** Reads the answer; bars without events are filled in, so that gaps are seen. */
export function read(raw: Raw, range: Range, now: number): Answer {
  const aggregations = raw.aggregations ?? {};
  const buckets = (name: string) => aggregations[name]?.buckets ?? [];
  const found = new Map(buckets("time").map((bucket) => [Number(bucket.key), bucket]));
  const bars: Bar[] = [];
  const first = Math.ceil((now - range.ms) / range.intervalMs) * range.intervalMs;
  for (let at = first; at <= now; at += range.intervalMs) {
    const bucket = found.get(at);
    bars.push({ at, events: bucket?.doc_count ?? 0, visitors: bucket?.visitors?.value ?? 0 });
  }
  const rows = (name: string) =>
    buckets(name).map(({ key, key_as_string, doc_count }) => ({ value: key_as_string ?? String(key), count: doc_count }));
  return {
    events: raw.hits.total.value,
    visitors: aggregations["visitors"]?.value ?? 0,
    bots: rows("bots").find(({ value }) => value === "true" || value === "1")?.count ?? 0,
    revenue: aggregations["revenue"]?.value ?? 0,
    bars,
    lists: Object.fromEntries(LISTS.map(({ field }) => [field, rows(field)])),
    recent: raw.hits.hits.map((hit) => hit._source),
  };
}
