/** Errors of the page's own scripts. */

import { on } from "./quietly";
import { watches } from "./settings";
import { emit } from "./tracker";

/** A page that fails in a loop says so ten times. */
const MAX_ERRORS = 10;
const MAX_CHARS = 2_000;

/** Tells uncaught errors, each once. */
export function errors(): void {
  if (!watches("errors")) return;
  const told = new Set<string>();
  const cut = (text: unknown) => `${text}`.slice(0, MAX_CHARS);
  on("error unhandledrejection", (event) => {
    const { message, error, reason = error } = event as ErrorEvent & PromiseRejectionEvent;
    const props = {
      message: cut(message ?? reason?.message ?? reason),
      stack: cut(reason?.stack),
    };
    // A picture that is missing is an error too, of another target. The set grows by what is new.
    if (event.target === window && told.size < MAX_ERRORS && told.size < told.add(props.message + props.stack).size) {
      emit("js_error", { props });
    }
  });
}
