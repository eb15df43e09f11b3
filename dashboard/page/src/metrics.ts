/** The pipeline's own figures, from `/metrics`. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Reads the Prometheus text format; lines that are not samples are passed over. */
export function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name!] = value!.replace(/\\(.)/g, (_, char) => (char === "n" ? "\n" : char));
    }
    samples.push({ name: match[1]!, labels, value: Number(match[3]!.replace("+Inf", "Infinity")) });
  }
  return samples;
}

export interface Stage {
  name: string;
  total: number;
  lag: number | undefined;
}

export interface Health {
  at: number;
  stages: Stage[];
  deadLetters: { stage: string; code: string; count: number }[];
  duplicates: number;
  /** Cumulative buckets of the time from receipt to index: upper bound in seconds, count. */
  endToEnd: [number, number][];
}

const sum = (samples: Sample[]) => samples.reduce((all, { value }) => all + value, 0);

/** Gathers what the page shows. */
export function health(samples: Sample[], at: number): Health {
  const named = (name: string) => samples.filter((sample) => sample.name === name);
  const outcome = (name: string, ...wanted: string[]) =>
    sum(named(name).filter(({ labels }) => wanted.includes(labels["outcome"] ?? "")));
  const lag = (stage: string) => named("weir_stream_lag").find(({ labels }) => labels["stage"] === stage)?.value;
  return {
    at,
    stages: [
      { name: "Gateway", total: outcome("weir_gateway_events_total", "accepted"), lag: undefined },
      { name: "Enricher", total: outcome("weir_enricher_events_total", "enriched", "passed"), lag: lag("enricher") },
      { name: "Sink", total: outcome("weir_sink_documents_total", "created", "duplicate"), lag: lag("sink") },
    ],
    deadLetters: named("weir_dead_letters_total")
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => ({ stage: labels["stage"] ?? "", code: labels["code"] ?? "", count: value })),
    duplicates: outcome("weir_sink_documents_total", "duplicate"),
    endToEnd: named("weir_end_to_end_seconds_bucket")
      .map(({ labels, value }): [number, number] => [Number((labels["le"] ?? "").replace("+Inf", "Infinity")), value])
      .sort((a, b) => a[0] - b[0]),
  };
}

/** The upper bound of the bucket that holds quantile `q` of what came between two readings. */
export function quantile(before: Health | undefined, after: Health, q: number): number | undefined {
  const earlier = new Map(before?.endToEnd ?? []);
  const gained = after.endToEnd.map(([bound, count]): [number, number] => [bound, count - (earlier.get(bound) ?? 0)]);
  const all = gained.at(-1)?.[1] ?? 0;
  return all > 0 ? gained.find(([, count]) => count >= q * all)?.[0] : undefined;
}
