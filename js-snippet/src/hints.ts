/** What the browser says of itself beside its agent string, and signs that a program drives it. */

interface UserAgentData {
  toJSON?(): object;
  getHighEntropyValues?(names: string[]): Promise<object>;
}

/** What only the high-entropy call knows: Windows 11, a phone's model, the full version. */
const NAMES = ["platformVersion", "model", "fullVersionList"];

/**
 * Returns a reader of the hints known so far: nothing ever waits for the slow ones. `bot` is a mask
 * of signals, whose first bit says that a program drives the browser.
 */
export function hints(): () => Record<string, unknown> {
  const data = (navigator as { userAgentData?: UserAgentData }).userAgentData;
  const known: Record<string, unknown> = { bot: navigator.webdriver ? 1 : 0 };
  // An iPad says that it is a Mac; a Mac has no touch screen.
  if (navigator.maxTouchPoints) known["touch"] = navigator.maxTouchPoints;
  if (data) {
    // A copy of what is known at once: brands, mobile, platform.
    Object.assign(known, data.toJSON?.());
    data.getHighEntropyValues?.(NAMES).then(
      (values) => Object.assign(known, values),
      () => {}, // A permissions policy may refuse; the agent string is left.
    );
  }
  return () => known;
}
