// The public HTTP API, with the cookie of this page's session in the place of a key.

import { notify } from "./elements.js";
import { say } from "./words.js";

/** A problem of RFC 9457. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {any} body
   * @param {number | null} retryAfter seconds
   */
  constructor(status, body, retryAfter) {
    super(body?.detail ?? body?.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
    this.retryAfter = retryAfter;
  }

  /** In the reader's words, where there are any. */
  get text() {
    return this.status === 429 && this.retryAfter ? say("tooMany", this.retryAfter) : this.message;
  }
}

/** @type {Promise<void> | null} */
let beginning = null;

/** Milliseconds for which a session is taken to last: less than it does, by the server's word. */
const SESSION = 11 * 3_600_000;

/** A session of its own for this browser, where it has none that is valid. */
function beginSession() {
  beginning ??= fetch("/session", { method: "POST" })
    .then(async (answer) => {
      if (!answer.ok) throw await problemOf(answer);
      localStorage.setItem("session", String(Date.now()));
    })
    .finally(() => (beginning = null));
  return beginning;
}

/** @param {Response} answer that is read once more after this */
async function codeOf(answer) {
  return (await answer.clone().json().catch(() => null))?.code;
}

/** @param {Response} answer */
async function problemOf(answer) {
  const body = await answer.json().catch(() => null);
  return new Problem(answer.status, body, Number(answer.headers.get("retry-after")) || null);
}

/**
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<Response>} one that is no problem
 */
export async function call(path, request) {
  if (Date.now() - Number(localStorage.getItem("session")) > SESSION) await beginSession();
  let answer = await fetch(path, request);
  // A neighbour at the same address may have tried wrong keys.
  if (answer.status === 401 || (answer.status === 429 && (await codeOf(answer)) === "too_many_wrong_keys")) {
    await beginSession();
    answer = await fetch(path, request);
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/**
 * Submits a question, and gives the id of its job. May be repeated with the same key.
 * @param {string} conversation
 * @param {string} key
 * @param {{ text: string } | { recording: Blob }} question
 */
export async function submit(conversation, key, question) {
  /** @type {Record<string, string>} */
  const headers = { "X-Conversation-Id": conversation, "Idempotency-Key": key };
  /** @type {FormData | string} */
  let body;
  if ("text" in question) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify({ kind: "chat", message: question.text });
  } else {
    body = new FormData();
    body.append("kind", "audio");
    body.append("response_format", "url");
    body.append("audio", question.recording, "question.wav");
  }
  const answer = await persistently(() => call("/v1/jobs", { method: "POST", headers, body }));
  return /** @type {string} */ ((await answer.json()).job_id);
}

/**
 * Tries again while the server cannot be reached, or says that it is for a while.
 * @template T
 * @param {() => Promise<T>} attempt
 */
async function persistently(attempt) {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const isAway = !(error instanceof Problem) || [502, 503, 504].includes(error.status) || error.code === "first_still_running";
      if (!isAway || tries > 8) throw error;
      await pause(tries);
    }
  }
}

/** @param {number} tries so far without success */
function pause(tries) {
  return new Promise((resolve) => setTimeout(resolve, Math.min(300 * 2 ** tries, 5000)));
}

const TERMINAL = ["job.completed", "job.failed", "job.cancelled", "job.expired", "job.erased"];

/**
 * Follows a job to its end: each event once and in order, also when the line breaks or another server takes over.
 * @param {string} job
 * @param {(event: any) => void} hear
 * @param {AbortSignal} signal
 */
export async function follow(job, hear, signal) {
  let cursor = "";
  let wasLost = false;
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      /** @type {Record<string, string>} */
      const headers = { Accept: "text/event-stream" };
      if (cursor) headers["Last-Event-ID"] = cursor;
      const answer = await call(`/v1/jobs/${job}/events`, { headers, signal });
      if (answer.status === 204) return;
      if (wasLost) notify(say("back"));
      wasLost = false;
      for await (const { id, data } of eventsOf(answer)) {
        tries = 0;
        if (id) cursor = id;
        hear(data);
        if (TERMINAL.includes(data.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error instanceof Problem && error.status < 500 && error.status !== 429;
      if (isFinal) throw error;
    }
    if (signal.aborted) return;
    wasLost = true;
    notify(say(navigator.onLine ? "lost" : "offline"), 0);
    await pause(tries);
  }
}

/**
 * The events of a body (WHATWG HTML, Server-sent events).
 * @param {Response} answer
 * @returns {AsyncGenerator<{ id: string, data: any }>}
 */
async function* eventsOf(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let from = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    for (let end; (end = rest.indexOf("\n\n", from)) >= 0; from = 0) {
      const event = rest.slice(0, end);
      rest = rest.slice(end + 2);
      const id = event.match(/^id: ([^\n]*)/m)?.[1] ?? "";
      const data = event.match(/^data: ([^\n]*)/m)?.[1];
      if (data) yield { id, data: JSON.parse(data) };
    }
    from = Math.max(0, rest.length - 1);
  }
}
