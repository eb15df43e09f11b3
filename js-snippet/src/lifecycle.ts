/** Whether anybody can see the page. */

export const isHidden = () => document.hidden;

/** Not on the screen yet, and perhaps never: the browser loads it in case it is wanted. */
export const isPrerendered = () => (document as { prerendering?: boolean }).prerendering;
