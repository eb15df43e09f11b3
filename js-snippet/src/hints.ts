/** What the browser says of itself beside its agent string, and signs that a program drives it. */

import { hints } from "./hooks";

interface UserAgentData {
  toJSON?(): object;
  getHighEntropyValues?(names: string[]): Promise<object>;
}

/** What only the high-entropy call knows: Windows 11, a phone's model, the full version. */
const NAMES = ["platformVersion", "model", "fullVersionList"];

/**
 * Signs of a program that only the page can see, a bit each: the browser's own word, no language, no
 * window. They are told, not acted on:
 * a snippet that falls silent hides the visits, and breaks everybody's own tests.
 */
export function botSigns(): number {
  const signs: unknown[] = [
    navigator.webdriver,
    !navigator.languages?.length,
    !outerWidth,
  ];
  return signs.reduce<number>((mask, sign, bit) => mask + (sign ? 2 ** bit : 0), 0);
}

/** Hints known so far go with each request: nothing ever waits for the slow ones. */
export function clientHints(): void {
  const data = (navigator as { userAgentData?: UserAgentData }).userAgentData;
  hints["bot"] = botSigns();
  // An iPad says that it is a Mac; a Mac has no touch screen.
  hints["touch"] = navigator.maxTouchPoints;
  // What is known at once: brands, mobile, platform.
  Object.assign(hints, data?.toJSON?.());
  data?.getHighEntropyValues?.(NAMES).then(
    (values) => Object.assign(hints, values),
    () => {}, // A permissions policy may refuse; the agent string is left.
  );
}
