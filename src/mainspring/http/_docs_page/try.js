// The form that sends a request, and what came back.

import { h } from "./schema.js";

const FORMS = ["application/x-www-form-urlencoded", "multipart/form-data"];
const SHOWN_LIMIT = 200_000;

/** The form of one operation. `authorize` gives the value of `Authorization`, or null. */
export function tryForm(operation, schemas, base, authorize) {
  const entries = [];
  const form = h("form", { autocomplete: "off" });
  for (const parameter of operation.parameters) {
    const entry = parameterEntry(parameter, schemas, operation.id);
    entries.push(entry);
    form.append(entry.element);
  }
  const body = operation.body ? bodyEntry(operation.body, schemas, operation.id) : null;
  if (body) form.append(body.element);

  const send = h("button", { type: "submit", class: "send" }, "Send");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const copy = h("button", { type: "button" }, "Copy as curl");
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  form.append(h("div", { class: "actions" }, send, stop, copy), answer);

  const request = () => compose(operation, entries, body, base, authorize);
  let running = null;
  stop.addEventListener("click", () => running?.abort());
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(curl(request()));
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy as curl"; }, 1500);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    running = new AbortController();
    send.disabled = true;
    stop.hidden = false;
    try {
      await show(answer, request(), running.signal);
    } finally {
      send.disabled = false;
      stop.hidden = true;
    }
  });
  return form;
}

function labelled(id, name, note, ...controls) {
  return h(
    "div",
    { class: "entry" },
    h("label", { for: id }, h("code", {}, name), h("small", {}, note)),
    h("div", {}, ...controls),
  );
}

function control(part, schemas, id, required) {
  const schema = schemas.resolve(part);
  if (schema.enum || schema.type === "boolean") {
    const options = schema.enum ?? [true, false];
    const select = h("select", { id, required }, required ? null : h("option", { value: "" }, "—"));
    select.append(...options.map((each) => h("option", { value: String(each) }, String(each))));
    return { element: select, values: () => (select.value === "" ? [] : [select.value]) };
  }
  if (schema.type === "array") {
    const area = h("textarea", { id, required, placeholder: "one value a line" });
    return { element: area, values: () => area.value.split("\n").filter((line) => line !== "") };
  }
  const numeric = schema.type === "integer" || schema.type === "number";
  const input = h("input", {
    id,
    required,
    type: numeric ? "number" : "text",
    step: schema.type === "number" ? "any" : null,
    min: schema.minimum,
    max: schema.maximum,
    placeholder: schema.default != null ? JSON.stringify(schema.default) : null,
  });
  return { element: input, values: () => (input.value === "" && !required ? [] : [input.value]) };
}

function parameterEntry(parameter, schemas, operationId) {
  const id = `${operationId}-${parameter.in}-${parameter.name}`;
  const made = control(parameter.schema, schemas, id, parameter.required);
  if (parameter.required) made.element.value = first(schemas.example(parameter.schema));
  const note = `${parameter.in}${parameter.required ? ", required" : ""}`;
  return { parameter, values: made.values, element: labelled(id, parameter.name, note, made.element) };
}

function first(example) {
  const value = Array.isArray(example) ? example[0] : example;
  return value == null ? "" : String(value);
}

function bodyEntry(body, schemas, operationId) {
  const kinds = Object.keys(body.content).filter((kind) => kind !== "application/msgpack");
  const id = `${operationId}-body`;
  const place = h("div");
  const select = h("select", { id: `${id}-kind` }, kinds.map((kind) => h("option", {}, kind)));
  let read = () => null;
  const fill = () => {
    const schema = body.content[select.value]?.schema ?? {};
    const made = FORMS.includes(select.value) ? formFields(schema, schemas, id) : textField(schema, schemas, id);
    read = made.read;
    place.replaceChildren(...made.elements);
  };
  select.addEventListener("change", fill);
  fill();
  const choice = labelled(`${id}-kind`, "body", body.required ? "required" : "optional", select);
  return { element: h("div", {}, choice, place), kind: () => select.value, read: () => read() };
}

function textField(schema, schemas, id) {
  const area = h("textarea", { id, class: "body", "aria-label": "body", spellcheck: "false" });
  area.value = JSON.stringify(schemas.example(schema), null, 2);
  return { elements: [area], read: () => area.value };
}

function formFields(part, schemas, id) {
  const schema = schemas.resolve(part);
  const required = new Set(schema.required ?? []);
  const made = Object.entries(schema.properties ?? {}).map(([name, each]) => {
    const file = schemas.type(each) === "file";
    const fieldId = `${id}-${name}`;
    const field = file
      ? { element: h("input", { id: fieldId, type: "file", required: required.has(name) }) }
      : control(each, schemas, fieldId, required.has(name));
    if (file) field.values = () => [...field.element.files];
    return { name, ...field, row: labelled(fieldId, name, required.has(name) ? "required" : "", field.element) };
  });
  const read = () => made.flatMap(({ name, values }) => values().map((value) => [name, value]));
  return { elements: made.map(({ row }) => row), read };
}

function compose(operation, entries, body, base, authorize) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = {};
  const cookies = [];
  for (const { parameter, values } of entries) {
    for (const value of values()) {
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (parameter.in === "query") query.append(parameter.name, value);
      else if (parameter.in === "header") headers[parameter.name] = value;
      else cookies.push(`${parameter.name}=${value}`);
    }
  }
  const credentials = operation.secured ? authorize() : null;
  if (credentials) headers.Authorization = credentials;
  const url = base.replace(/\/$/, "") + path + (query.size ? `?${query}` : "");
  const request = { method: operation.method, url, headers, cookies, parts: null, body: null };
  if (!body) return request;
  const kind = body.kind();
  if (!FORMS.includes(kind)) {
    headers["Content-Type"] = kind;
    request.body = body.read();
  } else {
    request.parts = body.read();
    request.multipart = kind === "multipart/form-data";
    request.body = request.multipart ? new FormData() : new URLSearchParams();
    for (const [name, value] of request.parts) request.body.append(name, value);
  }
  return request;
}

function curl(request) {
  const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
  const words = ["curl", "-X", request.method, quoted(new URL(request.url, location.href))];
  for (const [name, value] of Object.entries(request.headers)) words.push("-H", quoted(`${name}: ${value}`));
  if (request.cookies.length) words.push("-b", quoted(request.cookies.join("; ")));
  if (request.parts) {
    for (const [name, value] of request.parts) {
      const shown = value instanceof File ? `@${value.name}` : value;
      words.push(request.multipart ? "-F" : "--data-urlencode", quoted(`${name}=${shown}`));
    }
  } else if (request.body != null) {
    words.push("-d", quoted(request.body));
  }
  return words.join(" ");
}

async function show(place, request, signal) {
  const began = performance.now();
  place.replaceChildren(h("p", { class: "note" }, "Waiting for the answer…"));
  try {
    // The page cannot set cookies of the API; what the browser has of it is sent.
    const { method, headers, body } = request;
    const response = await fetch(request.url, { method, headers, body, signal, credentials: "same-origin" });
    const took = Math.round(performance.now() - began);
    const text = h("pre", { tabindex: "0" });
    const line = h(
      "div",
      { class: "line" },
      h("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
      h("span", { class: "note" }, `${took} ms`),
    );
    const heads = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    place.replaceChildren(line, text, h("details", { class: "more" }, h("summary", {}, "headers"), h("pre", {}, heads)));
    await fill(text, response);
  } catch (error) {
    const stopped = error.name === "AbortError";
    const said = stopped ? "Stopped." : `No answer: ${error.message}`;
    place.append(h("p", { class: "note" }, said));
  }
}

async function fill(text, response) {
  const kind = response.headers.get("content-type") ?? "";
  if (!/json|text|xml|javascript|urlencoded/.test(kind)) {
    const size = (await response.blob()).size;
    text.textContent = size ? `${size} bytes of ${kind || "unknown type"}` : "(no content)";
    return;
  }
  if (/event-stream|jsonl/.test(kind)) {
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let next = await pieces.read(); !next.done; next = await pieces.read()) {
      text.textContent = (text.textContent + next.value).slice(-SHOWN_LIMIT);
    }
    return;
  }
  const whole = (await response.text()).slice(0, SHOWN_LIMIT);
  try {
    text.textContent = kind.includes("json") ? JSON.stringify(JSON.parse(whole), null, 2) : whole;
  } catch {
    text.textContent = whole;
  }
}
