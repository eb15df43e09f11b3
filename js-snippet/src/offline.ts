/** Events that one page could not deliver, delivered by the next. */

import { ends } from "./hooks";
import { uuidv7 } from "./ids";
import { add, stuck } from "./queue";
import { settings } from "./settings";
import { touch } from "./storage";

/** An entry's name is this and the event's id, which sorts by time; so no list is read, changed and written back. */
const PREFIX = "weir.q.";

/** More would be in the way of the page's own data. */
const MAX_KEPT = 100;
const MAX_AGE_MS = 24 * 3_600_000;

/** The names of what is kept, oldest first; what is too old or too much is removed. */
function kept(storage: Storage): string[] {
  const names = Object.keys(storage)
    .filter((name) => name.startsWith(PREFIX))
    .sort();
  while (names[MAX_KEPT] || names[0]! < PREFIX + uuidv7(Date.now() - MAX_AGE_MS)) storage.removeItem(names.shift()!);
  return names;
}

function claim(): void {
  touch("localStorage", (storage) => {
    for (const name of kept(storage)) {
      const _text = storage.getItem(name)!;
      storage.removeItem(name);
      add([{ _event: JSON.parse(_text), _text, _urgency: 1 }]);
    }
  });
}

/** Where the page asks for it, keeps what is stuck when the page is left, 100 events and a day at most. */
export function offline(): void {
  if (settings.offline == null) return;
  ends.push(() =>
    touch("localStorage", (storage) => {
      for (const { _event, _text } of stuck()) storage.setItem(PREFIX + _event.event_id, _text!);
      kept(storage);
    }),
  );
  // Of several pages that start at once, one takes it all; the lock exists on secure pages only.
  void (navigator.locks?.request("weir", claim) ?? claim());
}
