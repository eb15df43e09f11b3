// Pages of a server that Turbo fetches and swaps: it pushes the address before the page is there, and
// runs the scripts of every body that it shows again. It says itself when a page is shown.
import "@hotwired/turbo";

document.addEventListener("turbo:load", () => weir.page());
