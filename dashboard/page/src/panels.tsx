/** The parts of the page. */

import { clock, count, country, percent, rate, safe, seconds } from "./format";
import { quantile } from "./metrics";
import { LISTS, RANGES, type Answer } from "./query";
import * as state from "./state";

function Figure({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>
        {value} {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

export function Figures({ answer }: { answer: Answer }) {
  const [before, after] = [state.readings.value.at(-6) ?? state.readings.value[0], state.latest.value];
  const received = after && before && after !== before
    ? ((after.stages[0]!.total - before.stages[0]!.total) * 1000) / (after.at - before.at)
    : undefined;
  return (
    <dl class="figures" data-testid="figures">
      <Figure name="Events" value={count(answer.events)} note={state.range.value.name} />
      <Figure name="Visitors" value={count(answer.visitors)} />
      <Figure name="Bots" value={percent(answer.bots, answer.events)} />
      <Figure name="Revenue" value={answer.revenue > 0 ? count(answer.revenue) : "–"} />
      <Figure name="Arriving" value={received === undefined ? "–" : `${rate(received)}/s`} />
    </dl>
  );
}

export function Controls() {
  return (
    <div class="controls">
      <div role="group" aria-label="Range">
        {RANGES.map((range) => (
          <button
            type="button"
            key={range.name}
            aria-pressed={state.range.value === range}
            onClick={() => state.choose(range)}
          >
            {range.name}
          </button>
        ))}
      </div>
      <label>
        <input
          type="checkbox"
          checked={state.withBots.value}
          onChange={(event) => state.showBots(event.currentTarget.checked)}
        />{" "}
        Bots
      </label>
      <label>
        <input
          type="checkbox"
          checked={state.isLive.value}
          onChange={(event) => (state.isLive.value = event.currentTarget.checked)}
        />{" "}
        Live
      </label>
      {state.filters.value.map((filter) => (
        <button
          type="button"
          class="chip"
          key={`${filter.field} ${filter.value}`}
          aria-label={`Remove the filter ${filter.field} ${safe(filter.value, 40)}`}
          onClick={() => state.toggle(filter)}
        >
          {filter.field}: <bdi>{safe(filter.value, 40)}</bdi> ×
        </button>
      ))}
    </div>
  );
}

/** Values and counts of a field; a click on a value filters by it. */
export function Lists({ answer }: { answer: Answer }) {
  return (
    <div class="lists">
      {LISTS.map(({ field, title }) => {
        const rows = answer.lists[field] ?? [];
        const most = Math.max(...rows.map((row) => row.count), 1);
        return (
          <section key={field} data-testid={field}>
            <h2>{title}</h2>
            {rows.length === 0 && <p class="none">None in this range</p>}
            <ul>
              {rows.map((row) => (
                <li key={row.value}>
                  <button type="button" title="Show only these" onClick={() => state.toggle({ field, value: row.value })}>
                    {/* A bar by attribute: the policy of the page forbids style attributes. */}
                    <svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
                      <rect width={(100 * row.count) / most} height="1" />
                    </svg>
                    <bdi>{safe(field === "geo_country" ? country(row.value) : row.value, 60)}</bdi>
                    <span>{count(row.count)}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}

const COLUMNS = ["event_type", "page_url_path", "source_category", "geo_country", "browser_name"] as const;

export function Recent({ answer }: { answer: Answer }) {
  return (
    <section class="recent" data-testid="recent">
      <h2>Latest events</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Latest events">
        <table>
          <thead>
            <tr>
              <th>Time</th>
              <th>Event</th>
              <th>Page</th>
              <th>Source</th>
              <th>Country</th>
              <th>Browser</th>
            </tr>
          </thead>
          <tbody>
            {answer.recent.map((event) => (
              <tr key={safe(event["event_id"], 200)}>
                <td>{clock(Date.parse(String(event["@timestamp"])))}</td>
                {COLUMNS.map((column) => (
                  <td key={column}>
                    <bdi>{safe(event[column], 48)}</bdi>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function Pipeline() {
  const after = state.latest.value;
  if (!after) return null;
  const before = state.readings.value.length > 1 ? state.readings.value[0] : undefined;
  const [half, most] = [quantile(before, after, 0.5), quantile(before, after, 0.99)];
  const told = (value: number | undefined) =>
    value === undefined ? "–" : value === Infinity ? "over a minute" : `≤ ${seconds(value)}`;
  return (
    <section class="pipeline" data-testid="pipeline">
      <h2>Pipeline</h2>
      <dl class="figures">
        {after.stages.map((stage, index) => {
          const gained = before ? stage.total - before.stages[index]!.total : 0;
          const perSecond = before ? (gained * 1000) / (after.at - before.at) : 0;
          const lag = stage.lag === undefined ? "" : `, ${count(stage.lag)} behind`;
          return <Figure key={stage.name} name={stage.name} value={`${rate(perSecond)}/s`} note={`${count(stage.total)} in all${lag}`} />;
        })}
        <Figure name="Receipt to search" value={told(half)} note={`99 %: ${told(most)}`} />
        <Figure name="Repeated" value={count(after.duplicates)} note="recognised by id" />
      </dl>
      <h3>Dead letters</h3>
      {after.deadLetters.length === 0 ? (
        <p class="none">None since the start</p>
      ) : (
        <ul class="letters">
          {after.deadLetters.map(({ stage, code, count: letters }) => (
            <li key={`${stage} ${code}`}>
              {safe(stage)} {safe(code)}: {count(letters)}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Empty() {
  const collect = state.meta("collect") || "https://collect.example.org/collect";
  const script = state.meta("script") || "https://collect.example.org/t.js";
  return (
    <section class="empty" data-testid="empty">
      <h2>No events in the last {state.range.value.name}</h2>
      <p>Put this on a page:</p>
      <pre>{`<script defer src="${script}"></script>`}</pre>
      <p>or send one by hand:</p>
      <pre>{`curl ${collect} -H 'content-type: application/json' -d '{"event_type":"hello"}'`}</pre>
    </section>
  );
}
