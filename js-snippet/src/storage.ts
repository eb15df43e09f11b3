/** Storage that never throws: merely touching it does in sandboxed frames and where it is denied. */

export type Area = "localStorage" | "sessionStorage";

/** What `action` finds in the storage; nothing where there is none. */
export function touch<T>(area: Area, action: (storage: Storage) => T): T | void {
  try {
    return action(window[area]);
  } catch {}
}
