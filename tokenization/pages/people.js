"use strict";
// The page of the vault's people. Everything shown is made of text nodes; nothing is kept in the browser.
const API = "/vault/v1";
const SHOWN_SECONDS = 30;
const ROLES = {
  admin: "администратор", security_officer: "офицер безопасности", support: "поддержка",
  custodian: "хранитель ключа", auditor: "аудитор",
};
const REASONS = {
  chargeback: "Оспаривание платежа", fraud_inquiry: "Проверка мошенничества", buyer_request: "Обращение покупателя",
  law_enforcement: "Запрос органов", reconciliation: "Сверка",
};
const SCHEMES = {
  mir: "Мир", visa: "Visa", mastercard: "Mastercard", unionpay: "UnionPay", jcb: "JCB", amex: "American Express",
  maestro: "Maestro",
};
const STATUSES = {
  active: ["действует", "good"], expired: ["истёк", "bad"], deleted: ["удалена", "bad"], shredded: ["уничтожена", "bad"],
  requested: ["ждёт решения", "wait"], approved: ["одобрен", "good"], refused: ["отклонён", "bad"],
  used: ["использован", ""], retired: ["только чтение", ""], suspended: ["приостановлен", "wait"],
  compromised: ["раскрыт", "bad"], destroyed: ["уничтожен", "bad"], invited: ["приглашён", "wait"], disabled: ["отключён", "bad"],
};
const PURPOSES = {
  card: "номера карт", sad: "CVC", fingerprint: "отпечатки", par: "ссылки PAR", device_master: "токены устройств",
  jwe: "приём карт от магазинов", audit_personal: "личные данные журнала", totp: "коды сотрудников", proof: "входы и приглашения",
};
const KEY_STATES = { decrypt_only: "retired" };
const PROBLEMS = {
  "access.sign_in_refused": "Неверный логин, пароль или код, либо вход сейчас закрыт.",
  "access.sign_in_needed": "Вход завершён. Войдите снова.",
  "access.sign_in_busy": "Сейчас входит слишком много людей. Повторите через минуту.",
  "access.scope_missing": "Для этого нет прав.",
  "access.own_request": "Свой запрос одобрить нельзя: нужен второй сотрудник.",
  "access.password_weak": "Пароль слишком простой: не короче 12 знаков, с буквами и цифрами, без логина внутри.",
  "access.password_repeated": "Это один из четырёх последних паролей. Придумайте новый.",
  "access.enrolment_waits": "Приглашение ждёт подтверждения сотрудника безопасности. Попробуйте позже.",
  "access.enrolment_refused": "Приглашение не подходит: оно неизвестно, использовано или истекло. Попросите новое.",
  "vault.approval_needed": "Дневной лимит исчерпан. Запросите одобрение второго сотрудника.",
  "vault.reveal_terms_rejected": "Нужны причина и номер обращения (без номера карты в нём).",
  "vault.reveal_request_over": "Запрос уже решён, использован, или прошло 15 минут.",
  "vault.reveal_request_other": "Одобрено для другой карты, причины или обращения.",
  "vault.token_not_found": "Такой карты нет.",
  "vault.token_deleted": "Карта удалена.",
  "vault.token_expired": "Срок токена истёк, карты больше нет.",
  "vault.token_shredded": "Ключи этого продавца уничтожены.",
  "vault.use_refused": "Токен нельзя использовать для показа.",
  "vault.request_invalid": "Проверьте, что введено: токен, или 4 цифры и срок ММ/ГГ.",
  "keys.sealed": "Хранилище опечатано: его должны открыть хранители ключа.",
};

const byId = (id) => document.getElementById(id);
let me = null;
let enrolmentToken = "";
let chosen = null;
let ticking = 0;

function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function call(method, path, body) {
  const asked = { method, headers: {}, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    asked.headers["content-type"] = "application/json";
    asked.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(API + path, asked);
  } catch {
    throw { code: "network", text: "Нет связи с хранилищем. Повторите." };
  }
  const found = answer.status === 204 ? {} : await answer.json();
  if (answer.ok) return found;
  if (found.code === "access.sign_in_needed" && me) leave(PROBLEMS[found.code]);
  throw { code: found.code, text: PROBLEMS[found.code] || "Не получилось: " + found.detail };
}

function tell(text, isBad) {
  const notice = byId("notice");
  notice.textContent = text;
  notice.hidden = !text;
  notice.classList.toggle("bad", Boolean(isBad));
}

function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector(".problem") || form.parentElement.querySelector(".problem");
    const button = form.querySelector("button[type=submit]");
    problem.textContent = "";
    button.disabled = true;
    try {
      await work(new FormData(form), form);
    } catch (refusal) {
      problem.textContent = refusal.text || String(refusal);
    } finally {
      button.disabled = false;
    }
  });
}

function showDoor(id) {
  for (const form of ["sign-in", "enrol", "first-code"]) byId(form).hidden = form !== id;
  byId("door").hidden = false;
  byId("work").hidden = true;
  byId("who").hidden = true;
  byId(id).querySelector("input").focus();
}

function leave(text) {
  me = null;
  hideNumber();
  for (const list of ["found", "own-requests-list", "requests-list", "reveals-list", "people-list", "keys-list"]) {
    byId(list).replaceChildren();
  }
  tell(text || "");
  showDoor("sign-in");
}

const may = (scope) => me.scopes.includes(scope);

const TABS = [
  { title: "Карты", sections: ["cards", "own-requests"], isFor: () => may("cards:search"), load: loadOwnRequests },
  { title: "Одобрения", sections: ["requests"], isFor: () => may("reveals:approve"), load: loadRequests },
  { title: "Показы", sections: ["reveals"], isFor: () => may("cards:reveal") || may("reveals:read"), load: loadReveals },
  { title: "Ключи", sections: ["keys"], isFor: () => may("keys:read"), load: loadKeys },
  { title: "Сотрудники", sections: ["people"], isFor: () => may("people:read"), load: loadPeople },
];

function enter(found) {
  me = found;
  byId("door").hidden = true;
  byId("work").hidden = false;
  byId("who").hidden = false;
  byId("who-name").textContent = me.name;
  byId("who-roles").textContent = me.roles.map((role) => ROLES[role] || role).join(", ") || "без ролей";
  const open = TABS.filter((tab) => tab.isFor());
  byId("tabs").replaceChildren(...open.map((tab) => {
    const button = make("button", tab.title);
    button.type = "button";
    button.addEventListener("click", () => openTab(tab, button));
    return button;
  }));
  for (const tab of TABS) for (const id of tab.sections) byId(id).hidden = true;
  if (open.length) byId("tabs").firstChild.click();
  else tell("У вас пока нет ролей: попросите администратора.");
}

async function openTab(tab, button) {
  tell("");
  for (const other of byId("tabs").children) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "page");
  for (const each of TABS) for (const id of each.sections) byId(id).hidden = each !== tab;
  if (tab.sections.includes("own-requests")) byId("own-requests").hidden = true;
  await attempt(tab.load);
}

async function attempt(work) {
  try {
    await work();
  } catch (refusal) {
    if (me) tell(refusal.text || String(refusal), true);
  }
}

function table(heads, rows, nothing) {
  if (!rows.length) return make("p", nothing, "quiet");
  const box = make("div", undefined, "table");
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const title of heads) head.append(make("th", title));
  const body = made.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) row.append(cell instanceof Node ? cell : make("td", cell));
  }
  box.append(made);
  return box;
}

function cellOf(node, className) {
  const cell = make("td", undefined, className);
  cell.append(...[node].flat());
  return cell;
}

function tag(status) {
  const [text, tone] = STATUSES[status] || [status, ""];
  return cellOf(make("span", text, "tag " + tone));
}

function action(text, className, work) {
  const button = make("button", text, "small " + className);
  button.type = "button";
  button.addEventListener("click", () => work(button));
  return button;
}

const month = (expires) => expires.slice(5) + "/" + expires.slice(2, 4);
const instant = (text) => text ? new Date(text).toLocaleString("ru-RU", { dateStyle: "short", timeStyle: "short" }) : "—";
const clock = (text) => new Date(text).toLocaleTimeString("ru-RU", { timeStyle: "short" });
const stars = (mask) => mask.replace(/\*/g, "•").replace(/(.{4})(?=.)/g, "$1 ");

function showFound(cards) {
  const rows = cards.map((card) => [
    make("td", stars(card.mask), "mono"), SCHEMES[card.scheme] || card.scheme, month(card.expires), card.merchant_id,
    tag(card.status),
    may("cards:reveal") && card.status === "active"
      ? cellOf(action("Показать", "second", () => openReveal(card)), "actions") : make("td", ""),
  ]);
  byId("found").replaceChildren(table(["Карта", "Система", "Срок", "Продавец", "Состояние", ""], rows, "Ничего не найдено."));
}

function openReveal(card, request) {
  chosen = { card, request };
  const form = byId("reveal-form");
  form.reset();
  form.querySelector(".problem").textContent = "";
  byId("reveal-mask").textContent = card.mask ? stars(card.mask) : card.token;
  if (request) {
    form.elements.reason.value = request.reason;
    form.elements.ticket.value = request.ticket;
  }
  form.elements.reason.disabled = form.elements.ticket.disabled = Boolean(request);
  byId("ask").hidden = true;
  byId("show").hidden = false;
  form.hidden = false;
  byId("shown").hidden = true;
  byId("reveal").showModal();
}

function termsOf(form) {
  return { token: chosen.card.token, reason: form.elements.reason.value, ticket: form.elements.ticket.value.trim() };
}

async function showNumber(_data, form) {
  const body = termsOf(form);
  if (chosen.request) body.request_id = chosen.request.id;
  let found;
  try {
    found = await call("POST", "/reveals", body);
  } catch (refusal) {
    const needsApproval = refusal.code === "vault.approval_needed";
    byId("ask").hidden = !needsApproval;
    byId("show").hidden = needsApproval;
    throw refusal;
  }
  form.hidden = true;
  byId("shown").hidden = false;
  byId("shown-number").textContent = found.card_number.replace(/(.{4})(?=.)/g, "$1 ");
  byId("shown-expires").textContent = "Срок " + month(found.expires) + ", " + (SCHEMES[found.scheme] || found.scheme);
  countDown(SHOWN_SECONDS);
}

function countDown(seconds) {
  clearTimeout(ticking);
  if (seconds <= 0) return hideNumber();
  byId("countdown").textContent = "Скроется через " + seconds + " с";
  ticking = setTimeout(() => countDown(seconds - 1), 1000);
}

function hideNumber() {
  clearTimeout(ticking);
  byId("shown-number").textContent = "";
  byId("shown").hidden = true;
  chosen = null;
  if (byId("reveal").open) byId("reveal").close();
}

async function ask() {
  const form = byId("reveal-form");
  try {
    await call("POST", "/reveal-requests", termsOf(form));
    hideNumber();
    tell("Запрос отправлен. Второй сотрудник должен одобрить его за 15 минут.");
    await loadOwnRequests();
  } catch (refusal) {
    form.querySelector(".problem").textContent = refusal.text;
  }
}

async function loadOwnRequests() {
  if (!may("cards:reveal")) return;
  const { reveal_requests: found } = await call("GET", "/reveal-requests");
  byId("own-requests").hidden = !found.length;
  const rows = found.map((request) => [
    make("td", stars(request.mask), "mono"), REASONS[request.reason], request.ticket, clock(request.expires_at),
    tag(request.status),
    cellOf(request.status === "approved"
      ? action("Показать", "", () => openReveal(request, request))
      : action("Обновить", "plain", () => attempt(loadOwnRequests)), "actions"),
  ]);
  byId("own-requests-list").replaceChildren(table(["Карта", "Причина", "Обращение", "До", "Состояние", ""], rows, ""));
}

async function loadRequests() {
  const { reveal_requests: found } = await call("GET", "/reveal-requests");
  const decide = (request, verb) => async (button) => {
    button.disabled = true;
    await attempt(async () => { await call("POST", "/reveal-requests/" + request.id + "/" + verb); });
    await attempt(loadRequests);
  };
  const rows = found.map((request) => [
    request.person_name, make("td", stars(request.mask), "mono"), REASONS[request.reason], request.ticket,
    clock(request.expires_at), tag(request.status),
    request.status === "requested" && request.person_id !== me.person_id
      ? cellOf([action("Отклонить", "second", decide(request, "refusals")),
                action("Одобрить", "", decide(request, "approvals"))], "actions") : make("td", ""),
  ]);
  byId("requests-list").replaceChildren(
    table(["Кто просит", "Карта", "Причина", "Обращение", "До", "Состояние", ""], rows, "Запросов нет."));
}

async function loadReveals() {
  const { reveals: found } = await call("GET", "/reveals");
  byId("reveals-title").textContent = may("reveals:read") ? "Показанные номера" : "Номера, показанные вам";
  const rows = found.map((reveal) => [
    instant(reveal.revealed_at), reveal.login, make("td", stars(reveal.mask), "mono"), reveal.merchant_id,
    REASONS[reveal.reason], reveal.ticket, reveal.request_id ? "вдвоём" : "—",
  ]);
  byId("reveals-list").replaceChildren(
    table(["Когда", "Кто", "Карта", "Продавец", "Причина", "Обращение", "Одобрение"], rows, "Номеров не показывали."));
}

async function loadPeople() {
  const { people: found } = await call("GET", "/people");
  const confirm = (person) => async (button) => {
    button.disabled = true;
    await attempt(async () => { await call("POST", "/people/" + person.id + "/confirmations", { roles: person.roles }); });
    await attempt(loadPeople);
  };
  const rows = found.map((person) => [
    person.name, make("td", person.login, "mono"),
    person.roles.map((role) => ROLES[role] || role).join(", ") || "—", instant(person.last_signed_in_at),
    person.is_waiting && person.status !== "disabled" ? cellOf(make("span", "ждёт подтверждения", "tag wait"))
      : person.is_locked ? cellOf(make("span", "заблокирован", "tag bad")) : tag(person.status),
    person.is_waiting && person.status !== "disabled" && may("people:approve") && person.id !== me.person_id
      ? cellOf(action("Подтвердить", "", confirm(person)), "actions") : make("td", ""),
  ]);
  byId("people-list").replaceChildren(table(["Имя", "Логин", "Роли", "Последний вход", "Состояние", ""], rows, "Никого нет."));
}

async function loadKeys() {
  const found = await call("GET", "/key-register");
  byId("keys-state").textContent = found.seal.status === "ready" ? "Хранилище открыто." : "Хранилище опечатано.";
  const rows = found.keys.map((key) => [
    PURPOSES[key.purpose] || key.purpose, make("td", key.scope, "mono"), key.version, tag(KEY_STATES[key.state] || key.state),
    key.encryptions.toLocaleString("ru-RU"), key.is_due ? cellOf(make("span", "пора сменить", "tag wait")) : "—",
  ]);
  byId("keys-list").replaceChildren(
    table(["Назначение", "Область", "Версия", "Состояние", "Шифрований, до", "Срок"], rows, "Ключей ещё нет."));
}

onSubmit(byId("sign-in"), async (data, form) => {
  const body = { login: data.get("login").trim(), password: data.get("password"), code: data.get("code") };
  try {
    const found = await call("POST", "/sign-ins", body);
    form.reset();
    tell("");
    enter(found);
  } finally {
    form.elements.code.value = "";
  }
});

onSubmit(byId("enrol"), async (data, form) => {
  if (data.get("password") !== data.get("again")) throw { text: "Пароли не совпадают." };
  enrolmentToken = data.get("token").trim();
  const begun = await call("POST", "/enrolments", { token: enrolmentToken, password: data.get("password") });
  form.reset();
  byId("picture-box").hidden = !begun.uri;
  if (begun.uri) {
    byId("picture").src = begun.picture;
    byId("secret").textContent = "Или введите ключ: " + new URL(begun.uri).searchParams.get("secret");
  }
  showDoor("first-code");
});

onSubmit(byId("first-code"), async (data, form) => {
  const found = await call("POST", "/enrolments/finish", { token: enrolmentToken, code: data.get("code") });
  enrolmentToken = "";
  form.reset();
  byId("picture").removeAttribute("src");
  byId("secret").textContent = "";
  tell("Готово. Войдите со следующим кодом из приложения.");
  showDoor("sign-in");
  byId("sign-in").elements.login.value = found.login;
});

onSubmit(byId("search"), async (data) => {
  const [token, last4, typed] = ["token", "last4", "expires"].map((name) => data.get(name).trim());
  const parts = /^(\d{2})\/?(\d{2})$/.exec(typed);
  const body = token ? { token } : { last4, expires_on: parts ? "20" + parts[2] + "-" + parts[1] : "" };
  showFound((await call("POST", "/card-searches", body)).cards);
});

onSubmit(byId("reveal-form"), showNumber);
byId("ask").addEventListener("click", ask);
byId("reveal").addEventListener("close", hideNumber);
for (const button of document.querySelectorAll(".close")) button.addEventListener("click", hideNumber);
for (const button of document.querySelectorAll(".refresh")) {
  button.addEventListener("click", () => document.querySelector('.tabs [aria-current="page"]').click());
}
byId("to-enrol").addEventListener("click", () => showDoor("enrol"));
byId("to-sign-in").addEventListener("click", () => showDoor("sign-in"));
byId("sign-out").addEventListener("click", async () => {
  await attempt(() => call("DELETE", "/sign-ins/current"));
  leave("");
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hideNumber();
});

call("GET", "/sign-ins/current").then(enter, () => leave(""));
