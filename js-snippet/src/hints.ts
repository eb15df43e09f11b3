/** What the browser says of itself beside its agent string, and signs that a program drives it. */

import { hints } from "./hooks";
import { soon } from "./quietly";

interface UserAgentData {
  toJSON?(): object;
  getHighEntropyValues?(names: string[]): Promise<object>;
}

/** What only the high-entropy call knows: Windows 11, a phone's model, the full version. */
const NAMES = ["platformVersion", "model", "fullVersionList"];

/**
 * Signs of a program that only the page can see, a bit each: the browser's own word, no language, no
 * window. They are told, not acted on: a snippet that falls silent hides the visits, and breaks
 * everybody's own tests.
 */
export const botSigns = (): number =>
  +navigator.webdriver | (+!navigator.languages?.length << 1) | (+!outerWidth << 2);

/** Hints known so far go with each request: nothing ever waits for the slow ones. */
export const clientHints = () =>
  soon(() => {
    const data = (navigator as { userAgentData?: UserAgentData }).userAgentData;
    const tell = (values: object | undefined) => Object.assign(hints, values);
    // An iPad says that it is a Mac; a Mac has no touch screen.
    tell({ bot: botSigns(), touch: navigator.maxTouchPoints });
    // What is known at once: brands, mobile, platform.
    tell(data?.toJSON?.());
    // A permissions policy may refuse; an error has no members of its own.
    data?.getHighEntropyValues?.(NAMES).then(tell, tell);
  });
