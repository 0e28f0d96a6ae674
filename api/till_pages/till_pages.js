"use strict";
/* Counts seconds down where the page says how many are left, and hears that a card was entered in the vault's form. */
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
const FORM_HEIGHT_MAX = 900;
addEventListener("message", (event) => {
  const frame = document.getElementById("card-form"), said = event.data;
  if (!frame || event.origin !== frame.dataset.origin || event.source !== frame.contentWindow) return;
  if (!said || said.source !== "kopeyka" || said.session_id !== frame.dataset.sessionId) return;
  if (said.type === "form.resized" && Number.isFinite(said.height)) frame.height = Math.min(said.height, FORM_HEIGHT_MAX);
  if (said.type === "card.entered") document.getElementById("card-done").requestSubmit();
  if (said.type === "form.over") document.getElementById("card-next").classList.remove("is-spare");
});
