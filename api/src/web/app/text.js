// Shows the text of an answer: paragraphs, lists, emphasis and code. All of it is made of elements.

import { make } from "./elements.js";

const LIST = /^\s*(?:([-*•])|(\d{1,3})[.)])\s+(.*)$/;
const INLINE = /(\*\*[^*\n]+\*\*|`[^`\n]+`)/;

/**
 * A line without blocks in it.
 * @param {string} text
 */
function inline(text) {
  return text.split(INLINE).filter(Boolean).map((part) => {
    if (part.startsWith("**") && part.length > 4) return make("strong", null, part.slice(2, -2));
    if (part.startsWith("`") && part.length > 2) return make("code", null, part.slice(1, -1));
    return part;
  });
}

/**
 * A paragraph or a list.
 * @param {string} block without an empty line in it
 */
function element(block) {
  const fragment = document.createDocumentFragment();
  let open = make("div", null);
  for (const line of block.split("\n")) {
    if (!line.trim()) continue;
    const item = line.match(LIST);
    const tag = item ? (item[1] ? "ul" : "ol") : "p";
    const isNew = open.localName !== tag;
    if (isNew) {
      open = make(/** @type {"div"} */ (tag), item?.[2] && item[2] !== "1" ? { start: item[2] } : null);
      fragment.append(open);
    }
    if (item) open.append(make("li", null, ...inline(item[3])));
    else open.append(...(isNew ? [] : [make("br", null)]), ...inline(line));
  }
  return fragment;
}

/** Text that grows. What is above the last empty line is made once, so that a long answer costs no more at its end. */
export class Growing {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.text = "";
    this.settled = 0;
    this.last = make("div", { class: "block" });
    this.frame = 0;
    place.replaceChildren(this.last);
  }

  /** Draws no more. */
  end() {
    cancelAnimationFrame(this.frame);
  }

  /** @param {string} text */
  append(text) {
    this.text += text;
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (let end; (end = this.text.indexOf("\n\n", this.settled)) >= 0; ) {
      this.last.replaceChildren(element(this.text.slice(this.settled, end)));
      this.settled = end + 2;
      this.last = make("div", { class: "block" });
      this.place.append(this.last);
    }
    this.last.replaceChildren(element(this.text.slice(this.settled)));
  }
}

/**
 * Where `sentence` stands in the text of `place`, behind what was found before.
 * @param {HTMLElement} place
 * @param {string} sentence
 * @param {number} after a place in the letters of the text
 * @returns {{ range: Range, end: number } | null}
 */
export function find(place, sentence, after) {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  /** @type {{ node: Text, at: number }[]} */
  const letters = [];
  let all = "";
  for (let node = /** @type {Text | null} */ (walker.nextNode()); node; node = /** @type {Text | null} */ (walker.nextNode()))
    for (let at = 0; at < node.data.length; at++)
      if (isLetter(node.data[at])) {
        letters.push({ node, at });
        all += node.data[at];
      }
  const wanted = [...sentence.replace(/^\s*\d{1,3}[.)]\s/, "")].filter(isLetter).join("");
  const start = wanted ? all.indexOf(wanted, after) : -1;
  if (start < 0) return null;
  const range = document.createRange();
  const [first, last] = [letters[start], letters[start + wanted.length - 1]];
  range.setStart(first.node, first.at);
  range.setEnd(last.node, last.at + 1);
  return { range, end: start + wanted.length };
}

/** @param {string} character */
function isLetter(character) {
  return /[\p{L}\p{N}]/u.test(character);
}
