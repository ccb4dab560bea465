// The page: brings together what is written, said and heard.

import { Problem, call, follow, submit } from "./api.js";
import * as kept from "./conversations.js";
import { drawer, list, setUp } from "./drawer.js";
import { byId, make, notify } from "./elements.js";
import { Closed } from "./microphone.js";
import { Player, bytesOf } from "./player.js";
import { Turn } from "./turn.js";
import { Voice } from "./voice.js";
import { say, speakIn, spokenLanguage, translate } from "./words.js";

const form = /** @type {HTMLFormElement} */ (byId("form"));
const question = /** @type {HTMLTextAreaElement} */ (byId("question"));
const turns = byId("turns");
const spoken = byId("spoken");

const player = new Player();
let conversation = kept.chosen();
/** @type {Turn | null} The turn that is being answered. */
let asking = null;
/** @type {Turn | null} The turn that sounds. */
let sounding = null;
/** Of what belongs to the conversation that is shown. */
let leaving = new AbortController();

// Asking

/**
 * @param {string | null} text
 * @param {Element | null} [before] which turn it stands; the last one without
 */
function show(text, before = null) {
  byId("welcome").hidden = true;
  const turn = new Turn(text, { askAgain, replay, rate });
  turns.insertBefore(turn.element, before);
  if (!before) toEnd();
  return turn;
}

/**
 * @param {{ text: string } | { recording: Blob }} asked
 * @param {number} ended the moment at which it was asked
 */
async function ask(asked, ended) {
  const text = "text" in asked ? asked.text : null;
  const { signal } = leaving;
  const id = conversation;
  const turn = show(text);
  const mine = sound(turn);
  begin(turn);
  try {
    const job = await submit(id, kept.newId(), asked);
    turn.job = job;
    kept.update(id, (it) => {
      it.title ||= (text ?? say("spoken")).slice(0, 80);
      it.at = Date.now();
      it.open.push({ job, question: text });
    }, true);
    list();
    if (turn.isStopped) cancel(job);
    await hear(turn, id, { ended, mine, signal });
  } catch (error) {
    turn.end("failed", error instanceof Problem ? error.text : undefined);
  }
  end(turn);
}

/**
 * Follows a turn to its end, shows it, and lets it sound.
 * @param {Turn} turn
 * @param {string} id of its conversation
 * @param {{ ended: number | null, mine: number | null, signal: AbortSignal }} how the moment at which it was asked, `null`
 * for one that is taken up again; what of the player is for it, `null` where it is not to sound
 */
async function hear(turn, id, { ended, mine, signal }) {
  const job = /** @type {string} */ (turn.job);
  player.onFirstSound = () => {
    if (ended !== null && sounding === turn) turn.firstSound((performance.now() - ended) / 1000);
  };
  await follow(job, (event) => {
    turn.hear(event);
    const isHeard = mine !== null && mine === player.turn && box("speak").checked;
    if (event.type === "answer.restarted" && isHeard) mine = sound(turn);
    if (event.type === "audio.delta" && event.audio && isHeard) player.add(event.text, bytesOf(event.audio));
    if (event.type === "transcript") named(id, event.text);
    announce(turn);
    keepInSight();
  }, signal);
  if (signal.aborted) return;
  announce(turn);
  kept.update(id, (it) => (it.open = it.open.filter((open) => open.job !== job)));
}

/**
 * What sounded is over, and `turn` is next.
 * @param {Turn | null} turn
 */
function sound(turn) {
  player.begin();
  sounding = turn;
  buttons();
  return player.turn;
}

player.onSentence = (/** @type {string | null} */ sentence) => sounding?.mark(sentence);
player.onSilence = () => {
  buttons();
  if (!asking) voice.answered();
};

/** @param {Turn} turn */
function begin(turn) {
  asking = turn;
  buttons();
}

/** @param {Turn} turn */
function end(turn) {
  if (asking === turn) asking = null;
  buttons();
  if (!asking && !player.isSounding) voice.answered();
}

/** There is something to stop, or something to send. */
function buttons() {
  const [send, stopping] = [byId("send"), byId("stop")];
  const isBusy = Boolean(asking) || player.isSounding;
  const had = [send, stopping].includes(/** @type {HTMLElement} */ (document.activeElement));
  stopping.hidden = !isBusy;
  send.hidden = Boolean(asking);
  if (had) (isBusy ? stopping : send).focus();
}

/** @param {Turn} turn */
function announce(turn) {
  for (const sentence of turn.announcements()) spoken.append(make("p", null, sentence));
  while (spoken.childElementCount > 20) spoken.firstElementChild?.remove();
}

function keepInSight() {
  const isAtEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 120;
  if (isAtEnd) requestAnimationFrame(toEnd);
}

function toEnd() {
  turns.scrollTo({ top: turns.scrollHeight, behavior: "instant" });
}

/**
 * A spoken question names its conversation once it is transcribed.
 * @param {string} id
 * @param {string} text
 */
function named(id, text) {
  kept.update(id, (it) => {
    if (it.title === say("spoken")) it.title = text.slice(0, 80);
  });
  list();
}

/** @param {string} text */
function askAgain(text) {
  question.value = text;
  question.focus();
  grow();
}

/** @param {Turn} turn */
async function replay(turn) {
  const mine = sound(turn);
  player.onFirstSound = () => {};
  try {
    await follow(/** @type {string} */ (turn.job), (event) => {
      if (event.type === "audio.delta" && event.audio && player.turn === mine) {
        player.add(event.text, bytesOf(event.audio));
        buttons();
      }
    }, leaving.signal);
  } catch (error) {
    notify(error instanceof Problem ? error.text : say("lost"));
  }
}

/**
 * @param {Turn} turn
 * @param {"good" | "bad"} rating
 * @param {string | null} comment
 */
async function rate(turn, rating, comment) {
  try {
    const body = JSON.stringify(comment ? { rating, comment } : { rating });
    await call(`/v1/jobs/${turn.job}/feedback`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (rating === "good" || comment !== null) notify(say("thanks"));
  } catch (error) {
    notify(error instanceof Problem ? error.text : say("lost"));
  }
}

/** Stops the answer: what sounds, and what is being made. */
function stop() {
  const turn = asking;
  sound(null);
  if (turn?.job) cancel(turn.job);
  else if (turn) turn.isStopped = true;
}

/** @param {string} job */
function cancel(job) {
  void call(`/v1/jobs/${job}`, { method: "DELETE" }).catch(() => {});
}

// Conversations

/** @param {string} id */
async function open(id) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  asking = null;
  sound(null);
  conversation = id;
  kept.choose(id);
  for (const turn of turns.querySelectorAll(".turn")) turn.remove();
  const known = kept.conversation(id);
  byId("welcome").hidden = Boolean(known);
  list();
  if (!known) return;
  await past(id, signal);
  for (const { job, question } of kept.conversation(id)?.open ?? []) {
    if (signal.aborted) return;
    if (isAsking(job)) continue;
    await takeUp(show(question), job, id, signal);
  }
}

/** @param {string} job */
function isAsking(job) {
  return asking?.job === job;
}

/**
 * Goes on with a turn that was under way when the page was left.
 * @param {Turn} turn
 * @param {string} job
 * @param {string} id of its conversation
 * @param {AbortSignal} signal
 */
async function takeUp(turn, job, id, signal) {
  turn.job = job;
  begin(turn);
  try {
    await hear(turn, id, { ended: null, mine: null, signal });
  } catch (error) {
    if (error instanceof Problem) kept.update(id, (it) => (it.open = it.open.filter((open) => open.job !== job)));
    turn.end("failed", error instanceof Problem ? error.text : undefined);
  }
  if (!signal.aborted) end(turn);
}

/**
 * Reads the turns of a conversation back from the server.
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function past(id, signal) {
  try {
    const answer = await call(`/v1/conversations/${id}`, { signal });
    /** @type {{ turns: { job_id: string, user: string, assistant: string }[] }} */
    const { turns: said } = await answer.json();
    if (signal.aborted) return;
    const shown = [...turns.querySelectorAll(".turn")].map((it) => /** @type {HTMLElement} */ (it).dataset.job);
    const before = turns.querySelector(".turn");
    kept.update(id, (it) => (it.open = it.open.filter((open) => !said.some((turn) => turn.job_id === open.job))));
    for (const { job_id: job, user, assistant } of said) {
      if (shown.includes(job)) continue;
      const turn = show(user, before);
      turn.job = job;
      turn.complete({ answer: assistant, citations: [] });
      turn.announcements();
      void sources(turn, signal);
    }
    if (!before) toEnd();
  } catch (error) {
    if (signal.aborted) return;
    const isGone = error instanceof Problem && error.status === 404;
    if (!isGone) notify(error instanceof Problem ? error.text : say("lost"));
    else if (!kept.conversation(id)?.open.length) notify(say("gone"));
  }
}

/**
 * The sources of an earlier answer, for as long as its job is kept.
 * @param {Turn} turn
 * @param {AbortSignal} signal
 */
async function sources(turn, signal) {
  try {
    const answer = await call(`/v1/jobs/${turn.job}`, { signal });
    const { kind, result } = await answer.json();
    turn.cites(result?.citations ?? []);
    turn.hasSpeech = kind === "audio" && Boolean(result?.audio);
    turn.end(null);
  } catch {
    // The answer stands without them.
  }
}

// Voice

const voice = new Voice({
  send: (recording, ended) => void ask({ recording }, ended),
  show: (state) => {
    const isOn = state === "recording" || state === "listening" || state === "hearing";
    byId("listening").hidden = !isOn;
    byId("microphone").setAttribute("aria-pressed", String(state === "recording"));
    byId("handsfree").setAttribute("aria-pressed", String(voice.isHandsFree));
    if (isOn) byId("hint").textContent = say(/** @type {"recording" | "listening" | "hearing"} */ (state));
  },
  measure: (level, seconds) => {
    /** @type {HTMLMeterElement} */ (byId("level")).value = level;
    byId("timer").textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  },
  interrupt: stop,
  nothing: () => notify(say("nothingHeard")),
  isSounding: () => player.isSounding,
});
/** @param {() => Promise<void>} begin */
async function listen(begin) {
  player.unlock();
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Closed)) notify(say("noMicrophone"));
  }
}

/** Milliseconds after which a button is held, and not tapped. */
const HELD = 400;
/** @type {{ at: number, began: boolean } | null} */
let press = null;
byId("microphone").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  byId("microphone").setPointerCapture(event.pointerId);
  press = { at: performance.now(), began: voice.state !== "recording" };
  if (press.began) record();
});
for (const kind of ["pointerup", "pointercancel"])
  byId("microphone").addEventListener(kind, () => {
    const isDone = press && (!press.began || performance.now() - press.at > HELD);
    press = null;
    if (isDone) void voice.finish();
  });
byId("microphone").addEventListener("click", (event) => {
  // Of a pointer all is said above; the keyboard clicks too.
  if (event.detail !== 0) return;
  if (voice.state === "recording") void voice.finish();
  else record();
});

function record() {
  sound(null);
  void listen(() => voice.record());
}

byId("handsfree").addEventListener("click", () => {
  if (voice.isHandsFree) voice.close();
  else void listen(() => voice.beginHandsFree());
});
byId("discard").addEventListener("click", () => voice.close());

/** Bytes of a recording that is dropped: what the server takes by default. */
const LARGEST = 16 * 1024 * 1024;
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  notify(say("dropped"), 2);
});
document.addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0];
  if (!file || asking) return;
  event.preventDefault();
  if (file.size > LARGEST) return notify(say("tooLarge"));
  player.unlock();
  void ask({ recording: file }, performance.now());
});

// Writing

/** Pixels of the field that a question is written in. */
const TALLEST = 200;

function grow() {
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight + 2, TALLEST)}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || asking) return;
  player.unlock();
  question.value = "";
  grow();
  void ask({ text }, performance.now());
});
question.addEventListener("input", grow);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
byId("stop").addEventListener("click", () => {
  stop();
  if (!asking) voice.answered();
});

// Around it

byId("new").addEventListener("click", () => {
  drawer(false);
  void open(kept.newId());
  question.focus();
});
byId("settings").addEventListener("click", () => {
  const options = byId("options");
  drawer(false);
  options.hidden = !options.hidden;
  byId("settings").setAttribute("aria-expanded", String(!options.hidden));
});
byId("language").addEventListener("change", (event) => {
  speakIn(/** @type {HTMLSelectElement} */ (event.target).value);
  list();
});
byId("speed").addEventListener("input", (event) => player.setSpeed(Number(/** @type {HTMLInputElement} */ (event.target).value)));
byId("volume").addEventListener("input", (event) => player.setVolume(Number(/** @type {HTMLInputElement} */ (event.target).value)));
byId("speak").addEventListener("change", (event) => {
  localStorage.setItem("speak", String(/** @type {HTMLInputElement} */ (event.target).checked));
  sound(null);
});
window.addEventListener("offline", () => notify(say("offline"), 0));
window.addEventListener("online", () => notify(say("back")));

/** @param {string} id */
function box(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

box("language").value = spokenLanguage();
box("speed").value = String(player.speed);
box("volume").value = String(player.volume);
box("speak").checked = localStorage.getItem("speak") !== "false";
translate();
setUp({ open: (id) => void open(id), shown: () => conversation });
for (const starter of (byId("starters").dataset.questions ?? "").split("|").filter(Boolean))
  byId("starters").append(make("li", null, make("button", { type: "button", click: () => { player.unlock(); if (!asking) void ask({ text: starter }, performance.now()); } }, starter)));
list();
void open(conversation);
question.focus();
