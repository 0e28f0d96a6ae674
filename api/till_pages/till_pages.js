"use strict";
/* Counts seconds down where the page says how many are left, and keeps fields a cashier is typing in. */
const started = new WeakMap();
function left(element) {
  if (!started.has(element)) started.set(element, performance.now());
  const gone = (performance.now() - started.get(element)) / 1000;
  return Math.max(0, Number(element.dataset.seconds) - gone);
}
function tick() {
  for (const element of document.querySelectorAll("[data-seconds]")) {
    const seconds = Math.ceil(left(element));
    element.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    const bar = element.parentElement.querySelector("progress");
    if (bar) bar.value = left(element);
  }
}
document.addEventListener("htmx:afterSettle", tick);
document.addEventListener("htmx:afterSettle", () => {
  const list = document.querySelector(".messages");
  if (list) list.scrollTop = list.scrollHeight;
});
setInterval(tick, 250);
addEventListener("DOMContentLoaded", tick);
