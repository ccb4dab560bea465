// The list of conversations, beside the one that is shown.

import { Problem, call } from "./api.js";
import * as kept from "./conversations.js";
import { byId, icon, make, notify } from "./elements.js";
import { say } from "./words.js";

/** @type {{ open: (id: string) => void, shown: () => string }} */
let does;

/**
 * To be called once.
 * @param {typeof does} how a conversation is opened, and which one is
 */
export function setUp(how) {
  does = how;
  byId("menu").addEventListener("click", () => drawer(byId("conversations").hidden === true));
  byId("conversations").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    drawer(false);
    byId("menu").focus();
  });
  byId("search").addEventListener("input", list);
  // Another tab may change them.
  window.addEventListener("storage", (event) => {
    if (event.key === "conversations") list();
  });
}

/** @param {boolean} isOpen */
export function drawer(isOpen) {
  byId("conversations").hidden = !isOpen;
  byId("menu").setAttribute("aria-expanded", String(isOpen));
}

export function list() {
  const wanted = /** @type {HTMLInputElement} */ (byId("search")).value.trim().toLowerCase();
  const all = kept.conversations().filter((it) => it.title.toLowerCase().includes(wanted));
  byId("none").hidden = all.length > 0;
  byId("list").replaceChildren(...all.map((it) =>
    make("li", null,
      make("button", { type: "button", "aria-current": it.id === does.shown() ? "true" : null, click: () => { drawer(false); does.open(it.id); } }, it.title),
      make("button", { type: "button", class: "icon", "aria-label": say("rename", it.title), click: () => rename(it) }, icon("edit")),
      make("button", { type: "button", class: "icon", "aria-label": say("delete", it.title), click: () => void remove(it) }, icon("close")))));
}

/** @param {kept.Conversation} it */
function rename(it) {
  const title = prompt(say("name"), it.title)?.trim();
  if (title) kept.update(it.id, (stored) => (stored.title = title.slice(0, 80)));
  list();
}

/** @param {kept.Conversation} it */
async function remove(it) {
  if (!confirm(say("deleteSure"))) return;
  try {
    await call(`/v1/conversations/${it.id}`, { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) return notify(error instanceof Problem ? error.text : say("lost"));
  }
  kept.forget(it.id);
  if (it.id === does.shown()) does.open(kept.newId());
  list();
  notify(say("erased"));
}
