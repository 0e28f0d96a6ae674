// The card form. What is typed goes to the vault's own origin and nowhere else; the page that shows the form hears of a
// token and a mask. No library, no storage, nothing logged.
"use strict";

const SCHEMES = [
  [/^220[0-4]/, "Мир"],
  [/^4/, "Visa"],
  [/^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, "Mastercard"],
  [/^62/, "UnionPay"],
  [/^35(2[89]|[3-8])/, "JCB"],
  [/^3[47]/, "AmEx"],
  [/^(50|5[6-9]|6)/, "Maestro"],
];
const WORDS = {
  "vault.pan_malformed": ["pan", "Проверьте номер карты: в нём ошибка."],
  "vault.card_expired": ["expires", "Срок действия карты истёк."],
  "vault.expiry_malformed": ["expires", "Проверьте срок действия."],
  "vault.cvc_malformed": ["cvc", "Три цифры на обороте."],
  "vault.cvc_missing": ["cvc", "Введите код с оборота карты."],
  "vault.card_session_over": ["over", "Время ввода истекло. Вернитесь в магазин и начните снова."],
  "vault.card_session_used": ["over", "Карта уже введена. Вернитесь в магазин."],
  "vault.card_session_blocked": ["over", "Слишком много попыток. Вернитесь в магазин и начните снова."],
  "vault.card_session_not_found": ["over", "Форма не найдена. Вернитесь в магазин и начните снова."],
};
const LATER = "Сейчас карту принять нельзя. Деньги не списаны, попробуйте через минуту.";
const SECONDS_MAX = 20;

const page = document.body.dataset;
const form = document.getElementById("card");
const field = (name) => document.getElementById(name);
const digits = (text) => text.replace(/\D/g, "");

function passesLuhn(number) {
  let sum = 0;
  for (let place = 0; place < number.length; place += 1) {
    let value = Number(number[number.length - 1 - place]);
    if (place % 2 === 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 === 0;
}

function grouped(number) {
  return /^3[47]/.test(number)
    ? [number.slice(0, 4), number.slice(4, 10), number.slice(10)].filter(Boolean).join(" ")
    : number.replace(/(\d{4})(?=\d)/g, "$1 ");
}

function retype(input, text, typed) {
  const before = digits(input.value.slice(0, input.selectionStart)).length;
  input.value = text;
  let place = 0;
  for (let seen = 0; place < text.length && seen < before; place += 1) if (/\d/.test(text[place])) seen += 1;
  if (typed && before === digits(text).length) place = text.length;
  input.setSelectionRange(place, place);
}

function panFault() {
  const number = digits(field("pan").value);
  if (!number) return "Введите номер карты.";
  if (number.length < 13 || number.length > 19) return "В номере не хватает цифр.";
  return passesLuhn(number) ? "" : "Проверьте номер карты: в нём ошибка.";
}

function expiry() {
  const typed = digits(field("expires").value);
  const month = Number(typed.slice(0, 2));
  const year = typed.length === 6 ? Number(typed.slice(2)) : 2000 + Number(typed.slice(2));
  return (typed.length === 4 || typed.length === 6) && month >= 1 && month <= 12 ? { month, year } : null;
}

function expiresFault() {
  if (!digits(field("expires").value)) return "Введите срок.";
  const found = expiry();
  if (!found) return "Месяц и год, как на карте.";
  const today = new Date();
  const over = found.year * 12 + found.month < today.getFullYear() * 12 + today.getMonth() + 1;
  if (over) return "Срок действия истёк.";
  return found.year > today.getFullYear() + 20 ? "Проверьте год." : "";
}

function cvcFault() {
  if (field("cvc-field").hidden) return "";
  const code = field("cvc").value;
  if (!code) return "Введите код.";
  return /^\d{3,4}$/.test(code) ? "" : "Три цифры на обороте.";
}

const FAULTS = { pan: panFault, expires: expiresFault, cvc: cvcFault };

function show(name, words) {
  field(`${name}-hint`).textContent = words;
  field(name).setAttribute("aria-invalid", words ? "true" : "false");
}

function tell(message) {
  if (window.parent !== window) {
    window.parent.postMessage({ source: "kopeyka", session_id: page.sessionId, ...message }, page.origin);
  }
}

function end(state, words) {
  form.reset();
  page.state = state;
  const section = field(state === "done" ? "done" : "over");
  section.hidden = false;
  section.querySelector(".done-text").textContent = words;
  tellHeight();
}

function tellHeight() {
  tell({ type: "form.resized", height: document.documentElement.scrollHeight });
}

function busy(is) {
  field("submit").setAttribute("aria-busy", String(is));
  field("submit").textContent = is ? "Проверяем…" : "Продолжить";
}

function refused(code) {
  const [place, words] = WORDS[code] || ["problem", LATER];
  if (place === "over") {
    end("over", words);
    tell({ type: "form.over", code });
  } else if (place === "problem") {
    field("problem").textContent = words;
  } else {
    show(place, words);
    field(place).focus();
  }
  tellHeight();
}

function typedCard() {
  const { month, year } = expiry();
  const card = { pan: digits(field("pan").value), expires_on: `${year}-${String(month).padStart(2, "0")}` };
  if (!field("cvc-field").hidden) card.cvc = field("cvc").value;
  return card;
}

async function send() {
  busy(true);
  try {
    const answer = await fetch(`/card-forms/${page.sessionId}/card`, {
      method: "POST",
      credentials: "omit",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(typedCard()),
      signal: AbortSignal.timeout(SECONDS_MAX * 1000),
    });
    const said = await answer.json();
    if (!answer.ok) {
      refused(said.code);
      return;
    }
    tell({ type: "card.entered", token: said.token, mask: said.mask, scheme: said.scheme });
    end("done", `Карта •••• ${said.mask.slice(-4)} принята.`);
  } catch (lost) {
    refused("");
  } finally {
    busy(false);
  }
}

field("pan").addEventListener("input", (event) => {
  const number = digits(event.target.value).slice(0, 19);
  retype(event.target, grouped(number), true);
  const found = SCHEMES.find(([start]) => start.test(number));
  field("scheme").textContent = found ? found[1] : "";
  show("pan", "");
});
field("expires").addEventListener("input", (event) => {
  let typed = digits(event.target.value).slice(0, 6);
  if (/^[2-9]/.test(typed)) typed = `0${typed}`.slice(0, 6);
  retype(event.target, typed.length > 2 ? `${typed.slice(0, 2)}/${typed.slice(2)}` : typed, true);
  show("expires", "");
});
field("cvc").addEventListener("input", (event) => {
  event.target.value = digits(event.target.value).slice(0, 4);
  show("cvc", "");
});
for (const name of Object.keys(FAULTS)) {
  field(name).addEventListener("blur", () => {
    if (field(name).value) show(name, FAULTS[name]());
  });
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (field("submit").getAttribute("aria-busy") === "true") return;
  field("problem").textContent = "";
  const wrong = Object.keys(FAULTS).filter((name) => {
    const words = FAULTS[name]();
    show(name, words);
    return words;
  });
  if (wrong.length) field(wrong[0]).focus();
  else send();
});
tell({ type: "form.ready" });
tellHeight();
