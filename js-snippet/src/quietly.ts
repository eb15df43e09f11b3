/** Nothing that happens in the snippet may reach the page as an exception. */

export function quietly<T>(action: () => T): T | void {
  try {
    return action();
  } catch (error) {
    console.warn("weir:", error);
  }
}

/**
 * Listens for events by words. At the window and in the capture phase, where every event comes by
 * first: a page that stops one does not hide it from us.
 */
export function on(types: string, listener: (event: Event) => void, target: EventTarget = window): void {
  for (const type of types.split(" ")) target.addEventListener(type, (event) => quietly(() => listener(event)), true);
}
