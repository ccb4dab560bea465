// Elements, made of attributes and text alone: nothing that comes from a server or a person is taken for HTML.

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any> | null} attributes a function listens to the event of that name
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * One of the drawings in the page.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "drawn");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${name}-icon`);
  svg.append(use);
  return svg;
}

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** @param {string} text an http(s) address, or something else */
export function isWebAddress(text) {
  try {
    return ["http:", "https:"].includes(new URL(text).protocol);
  } catch {
    return false;
  }
}

let noticeTimer = 0;

/**
 * Tells the reader something in passing.
 * @param {string} text
 * @param {number} [seconds] after which it goes; 0: it stays until the next one
 */
export function notify(text, seconds = 6) {
  const notice = byId("notice");
  notice.textContent = text;
  clearTimeout(noticeTimer);
  if (seconds) noticeTimer = window.setTimeout(() => (notice.textContent = ""), seconds * 1000);
}
