// Shows /openapi.json to a person, and lets them try each operation. Everything
// is made of elements and text: no word of the document is taken for HTML.
"use strict";

const METHODS = ["get", "post", "delete"];
let api;

/** An element with attributes and children; what is null is left out. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with `code` and [links](…), in paragraphs. */
function prose(text) {
  return (text ?? "").split(/\n\n+/).filter(Boolean).map((part) => make("p", null, inline(part)));
}

function inline(text) {
  return text.split(/(`[^`]+`|\[[^\]]+\]\(https?:[^)]+\))/).map((part) => {
    if (part.startsWith("`")) return make("code", null, part.slice(1, -1));
    const link = part.match(/^\[([^\]]+)\]\((https?:[^)]+)\)$/);
    return link ? make("a", { href: link[2], rel: "noreferrer" }, link[1]) : part;
  });
}

// Schemas

const nameOf = (reference) => reference.split("/").pop();

function resolved(schema) {
  return schema?.$ref ? api.components.schemas[nameOf(schema.$ref)] : schema;
}

/** The type in words; a named one leads to its own description. */
function typeOf(schema) {
  if (!schema) return ["anything"];
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return [make("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.contentSchema) return ["string of JSON: ", ...typeOf(schema.contentSchema)];
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return several.flatMap((one, at) => (at ? [" or ", ...typeOf(one)] : typeOf(one)));
  const types = [schema.type ?? (schema.properties ? "object" : "anything")].flat();
  return types.flatMap((type, at) => {
    const words = type === "array" ? ["array of ", ...typeOf(schema.items)] : [type];
    return at ? [" or ", ...words] : words;
  });
}

/** What a value must be beside its type. */
function bounds(schema) {
  const said = [];
  if (schema.format) said.push(schema.format);
  if (schema.enum) said.push(schema.enum.map((value) => JSON.stringify(value)).join(" · "));
  if (schema.pattern) said.push(schema.pattern);
  if (schema.minLength !== undefined || schema.maxLength !== undefined)
    said.push(`${schema.minLength ?? 0}–${schema.maxLength ?? "∞"} characters`);
  if (schema.minimum !== undefined || schema.maximum !== undefined)
    said.push(schema.maximum === undefined ? `≥ ${schema.minimum}` : `${schema.minimum ?? "−∞"}–${schema.maximum}`);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join(", ");
}

function field(name, schema, required, description) {
  const about = description ?? schema?.description;
  const limits = bounds(schema ?? {});
  return make("div", null,
    make("dt", null, make("code", null, name), required ? make("span", { class: "required" }, " required") : null),
    make("dd", null,
      make("span", { class: "type" }, ...typeOf(schema), limits ? `, ${limits}` : ""),
      about ? make("p", null, inline(about)) : null));
}

/** The fields of an object, those of its parts included. */
function fieldsOf(schema) {
  const whole = resolved(schema) ?? {};
  const parts = (whole.allOf ?? []).flatMap(fieldsOf);
  const own = Object.entries(whole.properties ?? {});
  return [...parts, ...own.map(([name, value]) => field(name, value, whole.required?.includes(name)))];
}

function schemaView(schema) {
  const fields = fieldsOf(schema);
  if (fields.length) return make("dl", { class: "fields" }, fields);
  const limits = bounds(schema ?? {});
  return make("p", { class: "type" }, ...typeOf(schema), limits ? `, ${limits}` : "");
}

// Operations

const written = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

function parametersView(parameters) {
  if (!parameters?.length) return [];
  const row = (it) => field(it.name, it.schema, it.required, `${it.description ?? ""} (${it.in})`);
  return [make("h4", null, "Parameters"), make("dl", { class: "fields" }, parameters.map(row))];
}

function mediaView([type, media]) {
  const examples = Object.entries(media.examples ?? {}).map(([name, example]) =>
    make("details", null, make("summary", null, make("code", null, name)), make("pre", null, written(example.value))));
  const schema = media.schema?.$ref || media.schema?.properties ? media.schema : null;
  return make("div", { class: "inner" },
    make("p", { class: "line" }, make("code", null, type),
      schema?.$ref ? make("span", null, type === "text/event-stream" ? "each of its events: " : "", ...typeOf(schema)) : null),
    schema && !schema.$ref ? schemaView(schema) : null,
    media.example === undefined ? null : make("pre", null, written(media.example)),
    examples);
}

function bodyView(body) {
  if (!body) return [];
  return [make("h4", null, "Body"), prose(body.description), Object.entries(body.content).map(mediaView)];
}

function answerView([status, answer]) {
  const headers = Object.entries(answer.headers ?? {})
    .map(([name, header]) => field(name, header.schema, false, header.description));
  const [opened, rest] = [status < "300", answer.content ? Object.entries(answer.content) : []];
  return make("details", { class: "answer" },
    make("summary", null, make("span", { class: `status ${opened ? "ok" : "not"}` }, status), " ", inline(answer.description)),
    rest.map(mediaView),
    headers.length ? make("div", { class: "inner" }, make("p", { class: "soft" }, "Headers"), make("dl", { class: "fields" }, headers)) : null);
}

function operationView({ id, method, path, operation }) {
  const callbacks = Object.values(operation.callbacks ?? {}).flatMap((callback) => Object.entries(callback));
  return make("article", { id, "aria-labelledby": `${id}-title` },
    make("div", { class: "line" }, make("span", { class: `method ${method}` }, method.toUpperCase()), make("span", { class: "path" }, path)),
    make("h3", { id: `${id}-title` }, operation.summary),
    prose(operation.description),
    parametersView(operation.parameters),
    bodyView(operation.requestBody),
    make("h4", null, "Answers"),
    Object.entries(operation.responses).map(answerView),
    callbacks.length ? make("h4", null, "Callbacks") : null,
    callbacks.map(([address, item]) => make("details", { class: "answer" },
      make("summary", null, make("span", { class: "method post" }, "POST "), make("code", null, address), " ", item.post.summary),
      prose(item.post.description), parametersView(item.post.parameters), bodyView(item.post.requestBody))),
    tryView({ method, path, operation }));
}

// Trying

const SHOWN = 20_000;

function tryView(target) {
  const { operation } = target;
  const inputs = (operation.parameters ?? []).map((parameter) => ({
    parameter,
    input: make("input", {
      name: parameter.name, autocomplete: "off", spellcheck: "false",
      placeholder: parameter.required ? null : written(parameter.example ?? ""),
      value: parameter.required ? parameter.example : null,
      required: parameter.required ? "" : null,
    }),
  }));
  const types = Object.keys(operation.requestBody?.content ?? {});
  const body = types.length ? bodyInputs(operation.requestBody.content, types) : null;
  const accepts = Object.keys(operation.responses["200"]?.content ?? {});
  const accept = accepts.length > 1
    ? make("select", { name: "Accept" }, accepts.map((type) => make("option", null, type))) : null;
  const output = make("div", { "aria-live": "polite" });
  const button = make("button", { type: "submit" }, "Send");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await exchange(request(target, inputs, accept, body), output);
    } catch (error) {
      output.replaceChildren(make("p", { class: "status not" }, String(error)));
    }
    button.disabled = false;
  };
  return make("details", { class: "try" }, make("summary", null, "Try it"),
    make("form", { submit: send },
      inputs.map(({ parameter, input }) => make("label", null, parameter.name, input)),
      accept ? make("label", null, "Accept", accept) : null,
      body?.elements ?? [], button),
    output);
}

/** One form for each media type of the body, of which one is chosen. */
function bodyInputs(content, types) {
  const choice = make("select", { name: "Content-Type", change: () => show() }, types.map((type) => make("option", null, type)));
  const panes = types.map((type) => (type === "multipart/form-data" ? formPane(content[type].schema) : textPane(content[type].example)));
  const show = () => panes.forEach((pane, at) => { pane.element.hidden = at !== choice.selectedIndex; });
  show();
  return {
    elements: [types.length > 1 ? make("label", null, "Content-Type", choice) : null, ...panes.map((pane) => pane.element)],
    read: () => ({ type: types[choice.selectedIndex], value: panes[choice.selectedIndex].read() }),
  };
}

function textPane(example) {
  const area = make("textarea", { name: "body", spellcheck: "false" }, written(example ?? ""));
  return { element: make("label", null, "Body", area), read: () => area.value };
}

function formPane(schema) {
  const fields = Object.entries(schema.properties).map(([name, value]) => {
    const input = value.enum
      ? make("select", { name }, [...(schema.required.includes(name) ? [] : [""]), ...value.enum].map((it) => make("option", null, it)))
      : make("input", { name, type: value.format === "binary" ? "file" : "text", autocomplete: "off" });
    return { name, input };
  });
  return {
    element: make("div", null, fields.map(({ name, input }) => make("label", null, name, input))),
    read: () => {
      const form = new FormData();
      for (const { name, input } of fields) {
        const value = input.files ? input.files[0] : input.value;
        if (value) form.append(name, value);
      }
      return form;
    },
  };
}

function request({ method, path, operation }, inputs, accept, body) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let address = path;
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query") query.append(parameter.name, input.value);
    else headers.set(parameter.name, input.value);
  }
  const key = document.getElementById("key").value;
  if (operation.security?.length && key) headers.set("X-API-Key", key);
  if (accept) headers.set("Accept", accept.value);
  const init = { method: method.toUpperCase(), headers };
  const given = body?.read();
  if (given) {
    init.body = given.value;
    // A form names its boundary itself.
    if (typeof given.value === "string") headers.set("Content-Type", given.type);
  }
  return new Request(address + (query.size ? `?${query}` : ""), init);
}

/** Sends, and shows the answer, a stream as it comes. */
async function exchange(asked, output) {
  const began = performance.now();
  const answer = await fetch(asked);
  const shown = make("pre", { tabindex: "0" });
  const line = make("p", { class: `status ${answer.ok ? "ok" : "not"}` }, `${answer.status} ${answer.statusText}`);
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  output.replaceChildren(line, make("details", null, make("summary", null, "Headers"), make("pre", null, headers)), shown);
  if (answer.headers.get("content-type")?.startsWith("audio/")) {
    const address = URL.createObjectURL(await answer.blob());
    shown.replaceWith(make("audio", { controls: "", src: address }));
  } else {
    await showText(answer, shown);
  }
  line.append(` in ${Math.round(performance.now() - began)} ms`);
}

async function showText(answer, shown) {
  let text = "";
  const decoder = new TextDecoder();
  for (let reader = answer.body?.getReader(), piece; reader && !(piece = await reader.read()).done;) {
    text += decoder.decode(piece.value, { stream: true });
    shown.textContent = clipped(text);
  }
  if (/[/+]json/.test(answer.headers.get("content-type") ?? "")) {
    try { shown.textContent = clipped(written(JSON.parse(text))); } catch { /* It stays as it came. */ }
  }
}

const clipped = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… ${text.length} characters` : text);

// The page

function operations() {
  return Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => ({
    id: item[method].operationId, method, path, operation: item[method],
  })));
}

function groupView(tag, all) {
  return make("section", null, make("h2", { id: `group-${tag.name}` }, tag.name), prose(tag.description),
    all.filter((it) => it.operation.tags.includes(tag.name)).map(operationView));
}

function schemasView() {
  const articles = Object.entries(api.components.schemas).map(([name, schema]) =>
    make("article", { id: `schema-${name}` }, make("h3", null, name), prose(schema.description), schemaView(schema)));
  return make("section", null, make("h2", { id: "schemas" }, "Schemas"), articles);
}

function headView() {
  const key = make("input", { id: "key", autocomplete: "off", spellcheck: "false", placeholder: "X-API-Key" });
  return make("header", null,
    make("h1", null, api.info.title, " ", make("small", null, api.info.version)),
    make("p", { class: "soft" }, make("a", { href: "/openapi.json" }, "/openapi.json"), `, OpenAPI ${api.openapi}, ${api.info.license.name}`),
    prose(api.info.description),
    make("label", { class: "key" }, "Key, for trying; it stays in this page", key));
}

function contentsView(all) {
  const entry = (href, label, method) => make("li", null, make("a", { href },
    method ? make("span", { class: `method ${method}` }, method.toUpperCase()) : null, make("span", null, label)));
  const groups = api.tags.map((tag) => [make("h2", null, tag.name), make("ul", null,
    all.filter((it) => it.operation.tags.includes(tag.name)).map((it) => entry(`#${it.id}`, it.operation.summary, it.method)))]);
  const schemas = Object.keys(api.components.schemas).map((name) => entry(`#schema-${name}`, name));
  return [groups, make("h2", null, "Schemas"), make("ul", null, schemas)];
}

function filterContents(event) {
  const wanted = event.target.value.trim().toLowerCase();
  for (const entry of document.querySelectorAll("#contents li")) {
    entry.hidden = !entry.textContent.toLowerCase().includes(wanted);
  }
  for (const heading of document.querySelectorAll("#contents h2")) {
    heading.hidden = !heading.nextElementSibling.querySelector("li:not([hidden])");
  }
}

async function show() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`/openapi.json answers ${answer.status}`);
    api = await answer.json();
  } catch (error) {
    state.textContent = `The document cannot be shown: ${error.message}.`;
    return;
  }
  const all = operations();
  document.getElementById("contents").append(...contentsView(all).flat(2));
  document.getElementById("filter").addEventListener("input", filterContents);
  document.getElementById("content").replaceChildren(headView(), ...api.tags.map((tag) => groupView(tag, all)), schemasView());
  if (matchMedia("(max-width: 52rem)").matches) document.getElementById("menu").open = false;
  // What the address names is there only now.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

show();
