// A question and its answer, as the events of its job tell it.

import { icon, isWebAddress, make, notify } from "./elements.js";
import { Growing, find } from "./text.js";
import { say } from "./words.js";

/** @typedef {{ n: number, title: string, url?: string | null, quote: string }} Citation */
/** @typedef {{ title: string, url?: string | null, quotes: string[] }} Source a document, with all that is quoted of it */

const STAGES = /** @type {const} */ (["stt", "emotion", "rag", "tts"]);
/** In the order in which they are shown. */
const STEPS = ["stt", "emotion", "found", "rag", "tts", "sound"];
const SENTENCE_END = /[.!?…](?=\s|$)/;

export class Turn {
  /**
   * @param {string | null} question `null` for one that is spoken, until it is transcribed
   * @param {object} does
   * @param {(question: string) => void} does.askAgain
   * @param {(turn: Turn) => void} does.replay
   * @param {(turn: Turn, rating: "good" | "bad", comment: string | null) => Promise<void>} does.rate
   */
  constructor(question, does) {
    this.question = make("p", { class: "asked" }, question ?? say("spoken"));
    this.answer = make("div", { class: "answer" });
    this.strip = make("ul", { class: "strip" });
    this.state = make("p", { class: "state" });
    this.sources = make("ul", { class: "sources", hidden: true });
    this.cards = make("div", { class: "cards" });
    this.actions = make("div", { class: "actions", hidden: true },
      make("button", { type: "button", "aria-label": say("copy"), title: say("copy"), click: () => this.copy() }, icon("copy")),
      make("button", { type: "button", "aria-label": say("again"), title: say("again"), click: () => does.askAgain(this.question.textContent ?? "") }, icon("edit")),
      make("button", { type: "button", class: "replay", hidden: true, "aria-label": say("replay"), title: say("replay"), click: () => does.replay(this) }, icon("play")),
      ...this.ratings(does.rate));
    this.element = make("article", { class: "turn", tabindex: "-1" },
      this.question, this.strip, this.answer, this.sources, this.cards, this.state, this.actions);
    /** @type {Source[]} */
    this.citations = [];
    this.hasSpeech = false;
    this.isOver = false;
    /** Before its job was known. */
    this.isStopped = false;
    this.growing = new Growing(this.answer);
    this.announced = 0;
    /** Up to where the answer has sounded, in its letters. */
    this.sounded = 0;
  }

  /**
   * Buttons to say how the answer was; to who says that it was bad, why is asked.
   * @param {(turn: Turn, rating: "good" | "bad", comment: string | null) => Promise<void>} rate
   */
  ratings(rate) {
    const comment = make("input", { maxlength: 2000, "aria-label": say("comment"), placeholder: say("comment") });
    const why = make("form", { class: "why", hidden: true }, comment, make("button", null, say("send")));
    why.addEventListener("submit", (event) => {
      event.preventDefault();
      why.hidden = true;
      void rate(this, "bad", comment.value);
    });
    const button = (/** @type {"good" | "bad"} */ rating) => {
      const it = make("button", { type: "button", "aria-pressed": "false", "aria-label": say(rating), title: say(rating) }, icon(rating));
      it.addEventListener("click", () => {
        both.forEach((other) => other.setAttribute("aria-pressed", String(other === it)));
        why.hidden = rating === "good";
        if (rating === "bad") comment.focus();
        void rate(this, rating, null);
      });
      return it;
    };
    const both = [button("good"), button("bad")];
    return [...both, why];
  }

  get job() {
    return this.element.dataset.job ?? null;
  }

  set job(id) {
    if (id) this.element.dataset.job = id;
  }

  /** Begins the answer anew. */
  begin() {
    this.growing.end();
    this.growing = new Growing(this.answer);
    this.announced = 0;
    this.sounded = 0;
  }

  /** @param {any} event of the API */
  hear(event) {
    switch (event.type) {
      case "job.accepted":
        return this.says("queued");
      case "stage.started":
        return this.stage(event.stage, null);
      case "stage.completed":
        return this.stage(event.stage, event.duration_ms / 1000);
      case "stage.retrying":
        return this.says("retrying");
      case "transcript":
        this.question.textContent = event.text;
        return;
      case "retrieved":
        return this.step("found", say("found"), undefined);
      case "answer.delta":
        this.says(null);
        this.growing.append(event.text);
        return;
      case "answer.restarted":
        return this.begin();
      case "audio.delta":
        this.hasSpeech ||= event.audio !== null;
        return;
      case "job.completed":
        return this.complete(event.result);
      case "job.failed":
        return this.end("failed", event.error?.message);
      case "job.cancelled":
        return this.end("cancelled");
      case "job.expired":
        return this.end("expired");
      case "job.erased":
        return this.end("erased");
      default:
    }
  }

  /** @param {{ answer: string, citations: Citation[], transcript?: string }} result */
  complete(result) {
    this.cites(result.citations ?? []);
    if (result.transcript) this.question.textContent = result.transcript;
    if (result.answer !== this.growing.text) {
      this.growing.end();
      this.growing = new Growing(this.answer);
      this.growing.append(result.answer);
    }
    this.end(null);
  }

  /**
   * @param {import("./words.js").Word | null} why
   * @param {string} [detail]
   */
  end(why, detail) {
    this.isOver = true;
    this.growing.draw();
    this.says(why);
    if (detail) this.state.append(` ${detail}`);
    this.actions.hidden = false;
    const replay = /** @type {HTMLElement} */ (this.actions.querySelector(".replay"));
    replay.hidden = !this.hasSpeech;
    this.element.classList.toggle("failed", why === "failed" || why === "expired");
  }

  /** @param {import("./words.js").Word | null} word */
  says(word) {
    this.state.textContent = word ? say(word) : "";
  }

  /**
   * A step of the job's way; `seconds` that it took once it is done.
   * @param {string} name
   * @param {number | null} seconds
   */
  stage(name, seconds) {
    if (!STAGES.some((stage) => stage === name)) return;
    const word = /** @type {typeof STAGES[number]} */ (name);
    this.step(name, say(word), seconds);
    if (name === "rag" && seconds === null && !this.growing.text) this.says("thinking");
  }

  /**
   * @param {string} key
   * @param {string} label
   * @param {number | null | undefined} seconds it took; `null` while it goes on, `undefined` where nobody knows
   */
  step(key, label, seconds) {
    let step = this.strip.querySelector(`[data-step="${key}"]`);
    if (!step) {
      step = make("li", { "data-step": key });
      const later = [...this.strip.children].find((it) => STEPS.indexOf(/** @type {HTMLElement} */ (it).dataset.step ?? "") > STEPS.indexOf(key));
      this.strip.insertBefore(step, later ?? null);
    }
    step.className = seconds === null ? "now" : "done";
    step.textContent = typeof seconds === "number" ? `${label} ${say("seconds", seconds)}` : label;
  }

  /** @param {number} seconds from the end of the question */
  firstSound(seconds) {
    this.step("sound", say("firstSound"), seconds);
  }

  /** The sentences that are whole and were not given before: for who hears the page. */
  announcements() {
    const text = this.growing.text ?? "";
    const sentences = [];
    for (let end; (end = text.slice(this.announced).search(SENTENCE_END)) >= 0; ) {
      sentences.push(text.slice(this.announced, this.announced + end + 1).replace(/\[\d+\]/g, "").trim());
      this.announced += end + 1;
    }
    if (this.isOver && this.announced < text.length) {
      sentences.push(text.slice(this.announced).trim());
      this.announced = text.length;
    }
    return sentences.filter((it) => /\p{L}/u.test(it));
  }

  /**
   * Shows which sentence sounds.
   * @param {string | null} sentence
   */
  mark(sentence) {
    const highlights = /** @type {any} */ (CSS).highlights;
    if (!highlights) return;
    highlights.delete("sounding");
    this.sources.querySelectorAll(".sounding").forEach((it) => it.classList.remove("sounding"));
    if (!sentence) return;
    this.growing.draw();
    const place = find(this.answer, sentence, this.sounded) ?? find(this.answer, sentence, 0);
    if (!place) return;
    this.sounded = place.end;
    highlights.set("sounding", new Highlight(place.range));
    for (const button of this.sources.querySelectorAll("button"))
      button.classList.toggle("sounding", rests(sentence, this.citations[Number(button.dataset.at)].quotes.join(" ")));
  }

  /**
   * Shows the sources of the answer.
   * @param {Citation[]} citations
   */
  cites(citations) {
    this.citations = sourcesOf(citations);
    this.sources.hidden = !citations.length;
    this.sources.replaceChildren(...this.citations.map((it, at) => {
      const button = make("button", { type: "button", class: "cite", "data-at": at, "aria-expanded": "false" }, `${at + 1} ${it.title}`);
      button.addEventListener("click", () => this.open(it, button));
      return make("li", null, button);
    }));
  }

  /**
   * Opens the card of a source, or closes it.
   * @param {Source} source
   * @param {HTMLElement} button
   */
  open(source, button) {
    const wasOpen = button.getAttribute("aria-expanded") === "true";
    this.sources.querySelectorAll("button").forEach((it) => it.setAttribute("aria-expanded", "false"));
    this.cards.replaceChildren();
    if (wasOpen) return;
    button.setAttribute("aria-expanded", "true");
    const link = source.url && isWebAddress(source.url)
      ? make("a", { href: source.url, target: "_blank", rel: "noopener noreferrer" }, say("open"))
      : null;
    const card = make("aside", { class: "card", tabindex: "-1", "aria-label": say("source", source.title) },
      make("h2", null, source.title), ...source.quotes.map((quote) => make("blockquote", null, quote)), link);
    card.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.open(source, button);
      button.focus();
    });
    this.cards.append(card);
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }

  async copy() {
    // Not there on a page without TLS.
    if (!navigator.clipboard) return getSelection()?.selectAllChildren(this.answer);
    await navigator.clipboard.writeText(this.growing.text);
    notify(say("copied"));
  }
}

/**
 * @param {Citation[]} citations
 * @returns {Source[]}
 */
function sourcesOf(citations) {
  /** @type {Source[]} */
  const sources = [];
  for (const { title, url, quote } of citations) {
    const known = sources.find((it) => it.title === title && it.url === url);
    if (known) known.quotes.push(quote);
    else sources.push({ title, url, quotes: [quote] });
  }
  return sources;
}

/**
 * Whether most words of `sentence` stand in `quote`.
 * @param {string} sentence
 * @param {string} quote
 */
function rests(sentence, quote) {
  const words = sentence.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [];
  const said = quote.toLowerCase();
  return words.length > 0 && words.filter((word) => said.includes(word)).length > words.length * 0.6;
}
