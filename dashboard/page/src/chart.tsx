/** Events and visitors over time, as SVG. */

import { useSignal } from "@preact/signals";
import { count, time } from "./format";
import type { Bar, Range } from "./query";

/** Of the drawing: on a phone the drawing is narrower, so that its words stay as large. */
const WIDTH = innerWidth < 600 ? 440 : 1_000;
const HEIGHT = 220;
const LEFT = 48;
const BOTTOM = 24;
const TOP = 8;

/** The next number of the kind 1, 2, 5 times a power of ten. */
export function ceiling(value: number): number {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * power).find((step) => step >= value)!;
}

export function Chart({ bars, range }: { bars: Bar[]; range: Range }) {
  const under = useSignal<number | undefined>(undefined);
  const top = ceiling(Math.max(...bars.map((bar) => bar.events), 0));
  const x = (index: number) => LEFT + (index / bars.length) * (WIDTH - LEFT);
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const step = (WIDTH - LEFT) / bars.length;
  const line = bars.map((bar, index) => `${(x(index) + step / 2).toFixed(1)},${y(Math.min(bar.visitors, top)).toFixed(1)}`);
  const marks = [0, top / 2, top];
  const every = Math.ceil(bars.length / (WIDTH / 140));
  const bar = under.value === undefined ? undefined : bars[under.value];
  return (
    <figure class="chart">
      <figcaption>
        <span class="key events">Events</span> <span class="key visitors">Visitors</span>
        <span class="reading" aria-live="off">
          {bar ? `${time(bar.at, range.ms)}: ${count(bar.events)} events, ${count(bar.visitors)} visitors` : "\u00a0"}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Events over the last ${range.name}: at most ${count(Math.max(...bars.map((b) => b.events), 0))} in a bar`}
        onMouseLeave={() => (under.value = undefined)}
      >
        {marks.map((mark) => (
          <g key={mark}>
            <line class="grid" x1={LEFT} x2={WIDTH} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 8} y={y(mark) + 4} text-anchor="end">
              {count(mark)}
            </text>
          </g>
        ))}
        {bars.map((bar, index) => (
          <g key={bar.at} onMouseEnter={() => (under.value = index)}>
            <rect class="hit" x={x(index)} y={TOP} width={step} height={HEIGHT - TOP - BOTTOM} />
            <rect
              class={under.value === index ? "bar under" : "bar"}
              x={x(index) + step * 0.1}
              width={step * 0.8}
              y={y(bar.events)}
              height={HEIGHT - BOTTOM - y(bar.events)}
            />
            {index % every === 0 && (
              <text x={x(index) + step / 2} y={HEIGHT - 6} text-anchor={index === 0 ? "start" : "middle"}>
                {time(bar.at, range.ms)}
              </text>
            )}
          </g>
        ))}
        <polyline class="visitors" points={line.join(" ")} />
      </svg>
    </figure>
  );
}
