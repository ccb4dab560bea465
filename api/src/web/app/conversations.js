// Which conversations there are. Their turns are on the server; here are their names, and the jobs that are under way.

/** @typedef {{ job: string, question: string | null }} Open a question that is not answered yet; `null` for a spoken one */
/** @typedef {{ id: string, title: string, at: number, open: Open[] }} Conversation */

const KEY = "conversations";

/** @returns {Conversation[]} the latest first */
export function conversations() {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return stored.sort((/** @type {Conversation} */ a, /** @type {Conversation} */ b) => b.at - a.at);
  } catch {
    return [];
  }
}

/** @param {string} id */
export function conversation(id) {
  return conversations().find((it) => it.id === id);
}

/**
 * Changes one, if it is there still. Reads what is stored first: another tab may have changed it.
 * @param {string} id
 * @param {(it: Conversation) => void} change
 * @param {boolean} [begins] where it is not there
 */
export function update(id, change, begins = false) {
  const all = conversations();
  let it = all.find((it) => it.id === id);
  if (!it && !begins) return;
  if (!it) all.push((it = { id, title: "", at: Date.now(), open: [] }));
  change(it);
  localStorage.setItem(KEY, JSON.stringify(all));
}

/** @param {string} id */
export function forget(id) {
  localStorage.setItem(KEY, JSON.stringify(conversations().filter((it) => it.id !== id)));
}

/** @param {string} id */
export function choose(id) {
  sessionStorage.setItem("conversation", id);
}

/** The one that this tab shows; a new one where there is none. */
export function chosen() {
  return sessionStorage.getItem("conversation") ?? conversations()[0]?.id ?? newId();
}

export function newId() {
  // Not randomUUID: that is there on secure pages alone.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
