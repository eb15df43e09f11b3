/** What the page shows and what was asked of it. */

import { computed, signal } from "@preact/signals";
import { health, parse, type Health } from "./metrics";
import { RANGES, read, search, type Answer, type Filter, type Range } from "./query";

const REFRESH_MS = 2_000;

/** Readings kept for rates: a minute of them. */
const MAX_READINGS = 30;

export const range = signal<Range>(RANGES[0]!);
export const filters = signal<Filter[]>([]);
export const withBots = signal(true);
export const isLive = signal(true);
export const answer = signal<Answer | undefined>(undefined);
export const trouble = signal<string | undefined>(undefined);
export const readings = signal<Health[]>([]);

export const latest = computed(() => readings.value.at(-1));

export const meta = (name: string): string =>
  document.querySelector(`meta[name="weir-${name}"]`)?.getAttribute("content") ?? "";

export function toggle(filter: Filter): void {
  const same = ({ field, value }: Filter) => field === filter.field && value === filter.value;
  const kept = filters.value.filter((other) => !same(other));
  filters.value = kept.length < filters.value.length ? kept : [...kept, filter];
  void refresh();
}

export function choose(next: Range): void {
  range.value = next;
  void refresh();
}

export function showBots(show: boolean): void {
  withBots.value = show;
  void refresh();
}

/** The answer that counts is that of the question asked last. */
let asked = 0;

async function ask(): Promise<void> {
  const number = ++asked;
  const wanted = range.value;
  const response = await fetch(`/${meta("index")}/_search`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(search(wanted, filters.value, withBots.value)),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body?.error?.reason ?? `the store answers ${response.status}`);
  if (number === asked) answer.value = read(body, wanted, Date.now());
}

async function listen(): Promise<void> {
  const response = await fetch("/metrics");
  if (!response.ok) throw new Error(`/metrics answers ${response.status}`);
  const reading = health(parse(await response.text()), performance.now());
  readings.value = [...readings.value, reading].slice(-MAX_READINGS);
}

export async function refresh(): Promise<void> {
  try {
    await Promise.all([ask(), listen()]);
    trouble.value = undefined;
  } catch (error) {
    trouble.value = error instanceof TypeError ? "Weir does not answer" : (error as Error).message;
  }
}

/** Asks now and again, not while nobody looks. */
export async function run(): Promise<void> {
  for (;;) {
    if (isLive.value && document.visibilityState === "visible") await refresh();
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
  }
}
