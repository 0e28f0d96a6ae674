// The page that shows the vault's card form: it hears that a card was entered and goes on. It never sees a card.
"use strict";

const frame = document.getElementById("card-form");
const done = document.getElementById("card-done");
const HEIGHT_MAX = 900;

addEventListener("message", (event) => {
  const said = event.data;
  if (event.origin !== frame.dataset.origin || event.source !== frame.contentWindow) return;
  if (!said || said.source !== "kopeyka" || said.session_id !== frame.dataset.sessionId) return;
  if (said.type === "form.resized" && Number.isFinite(said.height)) frame.height = Math.min(said.height, HEIGHT_MAX);
  if (said.type === "card.entered") done.requestSubmit();
  if (said.type === "form.over") document.getElementById("card-next").classList.remove("is-spare");
});
