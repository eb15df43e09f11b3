/** Nothing that happens in the snippet may reach the page as an exception. */

export function quietly<T>(action: () => T): T | void {
  try {
    return action();
  } catch (error) {
    console.warn("weir:", error);
  }
}

/** Does it in a turn of its own, which the page's start and its clicks do not wait for. */
export const soon = (action: () => void) => setTimeout(quietly, 0, action);

/**
 * Listens for events by words. At the window and in the capture phase, where every event comes by
 * first: a page that stops one does not hide it from us.
 */
export function on(types: string, listener: (event: Event) => void): void {
  for (const type of types.split(" ")) addEventListener(type, (event) => quietly(() => listener(event)), true);
}
