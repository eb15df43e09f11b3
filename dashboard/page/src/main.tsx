/** The live page. */

import { render } from "preact";
import { Chart } from "./chart";
import { Controls, Empty, Figures, Lists, Pipeline, Recent } from "./panels";
import * as state from "./state";

function App() {
  const { value: answer } = state.answer;
  const { value: trouble } = state.trouble;
  const isEmpty = answer?.events === 0 && state.filters.value.length === 0 && state.withBots.value;
  return (
    <>
      <header>
        <h1>Weir</h1>
        <Controls />
      </header>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}. Trying again.
        </p>
      )}
      {!answer && !trouble && <p class="none">Asking the store…</p>}
      {answer && isEmpty && <Empty />}
      {answer && !isEmpty && (
        <main>
          <Figures answer={answer} />
          <Chart bars={answer.bars} range={state.range.value} />
          <Lists answer={answer} />
          <Recent answer={answer} />
        </main>
      )}
      <Pipeline />
    </>
  );
}

render(<App />, document.getElementById("app")!);
void state.run();
