// The page of an API: reads openapi.json and shows its operations.

import { Schemas, h, prose } from "./schema.js";
import { tryForm } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
const $ = (id) => document.getElementById(id);
const root = document.documentElement;

start();

async function start() {
  theme();
  try {
    const response = await fetch("openapi.json", { credentials: "same-origin" });
    if (!response.ok) throw new Error(`openapi.json: ${response.status} ${response.statusText}`);
    show(await response.json());
  } catch (error) {
    $("state").textContent = `The description cannot be read. ${error.message}`;
  }
}

function theme() {
  const kept = localStorage.getItem("docs-theme");
  if (kept) root.dataset.theme = kept;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("docs-theme", root.dataset.theme);
  });
}

function show(description) {
  const { info } = description;
  document.title = `${info.title}: API`;
  $("title").textContent = info.title;
  $("version").textContent = info.version;
  $("about").append(...prose(info.description));
  const authorize = credentials(description);
  const schemas = new Schemas(description);
  const base = description.servers?.[0]?.url ?? "";
  const groups = grouped(description, schemas);
  for (const [tag, operations] of groups) {
    $("links").append(links(tag, operations));
    $("operations").append(section(tag, operations, schemas, base, authorize));
  }
  $("state").textContent = groups.size ? "" : "There are no operations.";
  if (matchMedia("(max-width: 52rem)").matches) $("index").open = false;
  filter();
  addEventListener("hashchange", follow);
  follow();
}

/** The token form; gives the function that makes the value of `Authorization`. */
function credentials(description) {
  const scheme = Object.values(description.components?.securitySchemes ?? {})[0];
  if (!scheme) return () => null;
  const word = scheme.type === "http" ? "Bearer" : /`(\w+)`/.exec(scheme.description ?? "")?.[1] ?? "";
  const place = $("credentials");
  const value = () => sessionStorage.getItem("docs-token") ?? "";
  const mark = () => place.classList.toggle("set", value() !== "");
  place.hidden = false;
  $("scheme").textContent = `Authorization: ${word} …`;
  $("token").value = value();
  $("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("docs-token", $("token").value.trim());
    mark();
    place.open = false;
    place.querySelector("summary").focus();
  });
  place.addEventListener("keydown", (event) => {
    if (event.key === "Escape") place.open = false;
  });
  mark();
  return () => (value() ? `${word} ${value()}`.trim() : null);
}

function grouped(description, schemas) {
  const groups = new Map((description.tags ?? []).map((tag) => [tag.name, []]));
  for (const [path, at] of Object.entries(description.paths ?? {})) {
    for (const method of METHODS.filter((each) => at[each])) {
      const raw = at[method];
      const tag = raw.tags?.[0] ?? "Operations";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({
        ...raw,
        path,
        method: method.toUpperCase(),
        id: raw.operationId,
        parameters: [...(at.parameters ?? []), ...(raw.parameters ?? [])].map((each) => schemas.resolve(each)),
        body: raw.requestBody ? schemas.resolve(raw.requestBody) : null,
        secured: (raw.security ?? description.security ?? []).length > 0,
        optional: (raw.security ?? []).some((each) => Object.keys(each).length === 0),
      });
    }
  }
  return new Map([...groups].filter(([, operations]) => operations.length));
}

// With a beginning of its own, so that no operation is taken for a part of the page.
const anchor = (operation) => `operation-${operation.id}`;
const badge = (method) => h("span", { class: `method ${method.toLowerCase()}` }, method);

function links(tag, operations) {
  return h(
    "div",
    { class: "links" },
    h("div", { class: "group" }, tag),
    h(
      "ul",
      {},
      operations.map((operation) =>
        h(
          "li",
          { "data-text": text(operation), class: operation.deprecated ? "deprecated" : null },
          h("a", { href: `#${anchor(operation)}` }, badge(operation.method), h("span", { class: "path" }, operation.path)),
        ),
      ),
    ),
  );
}

const text = (operation) =>
  [operation.method, operation.path, operation.id, operation.summary, ...(operation.tags ?? [])].join(" ").toLowerCase();

function section(tag, operations, schemas, base, authorize) {
  return h(
    "section",
    {},
    h("h2", {}, tag),
    operations.map((operation) => article(operation, schemas, base, authorize)),
  );
}

function article(operation, schemas, base, authorize) {
  const lock = operation.secured ? (operation.optional ? "token optional" : "token") : null;
  const details = h(
    "details",
    { class: `operation${operation.deprecated ? " deprecated" : ""}`, id: anchor(operation), "data-text": text(operation) },
    h(
      "summary",
      {},
      badge(operation.method),
      h("span", { class: "path" }, operation.path),
      lock ? h("span", { class: "mark" }, lock) : null,
      operation.deprecated ? h("span", { class: "mark" }, "deprecated") : null,
      h("span", { class: "what" }, operation.summary ?? operation.id.replaceAll("_", " ")),
    ),
  );
  // The inside is made when it is first opened: an API may have hundreds of operations.
  details.addEventListener("toggle", () => details.append(inside(operation, schemas, base, authorize)), { once: true });
  return details;
}

function inside(operation, schemas, base, authorize) {
  const form = h("details", { class: "try" }, h("summary", {}, "Try it"));
  form.addEventListener("toggle", () => form.append(tryForm(operation, schemas, base, authorize)), { once: true });
  return h(
    "div",
    { class: "inside" },
    prose(operation.description),
    operation.parameters.length ? [h("h3", {}, "Parameters"), parameters(operation.parameters, schemas)] : null,
    operation.body ? [h("h3", {}, "Body"), body(operation.body, schemas)] : null,
    h("h3", {}, "Answers"),
    h("ul", { class: "responses" }, responses(operation.responses, schemas)),
    form,
  );
}

function parameters(list, schemas) {
  return h(
    "ul",
    { class: "fields" },
    list.map((each) =>
      h(
        "li",
        {},
        h(
          "div",
          { class: "field" },
          h("code", {}, each.name),
          h("span", { class: "type" }, `${each.in}, ${schemas.type(each.schema)}`),
          each.required ? h("span", { class: "required" }, "required") : null,
        ),
        each.description ? h("p", { class: "said" }, each.description) : null,
      ),
    ),
  );
}

function body(part, schemas) {
  const kinds = Object.keys(part.content);
  const schema = part.content[kinds[0]].schema;
  return h(
    "div",
    {},
    part.description ? h("p", { class: "said" }, part.description) : null,
    h("p", { class: "note" }, kinds.join(", ")),
    schemas.fields(schema),
    kinds[0].includes("json") ? example(schema, schemas) : null,
  );
}

function example(schema, schemas) {
  const shown = h("details", { class: "more" }, h("summary", {}, "example"));
  shown.append(h("pre", { tabindex: "0" }, JSON.stringify(schemas.example(schema), null, 2)));
  return shown;
}

function responses(found, schemas) {
  // Problems look alike: what is in them is said once, with the last.
  const usual = JSON.stringify(schemas.resolve(found.default).content);
  return Object.entries(found).map(([status, part]) => {
    const same = status !== "default" && JSON.stringify(schemas.resolve(part).content) === usual;
    return response(status, schemas.resolve(part), schemas, !same);
  });
}

function response(status, found, schemas, withFields) {
  const kinds = Object.keys(found.content ?? {});
  const good = /^[23]/.test(status);
  const row = h(
    "li",
    {},
    h(
      "div",
      { class: "field" },
      h("span", { class: `status ${good ? "good" : "bad"}` }, status === "default" ? "other" : status),
      h("span", {}, found.description),
      h("span", { class: "type" }, kinds.join(", ")),
    ),
  );
  if (kinds.length && withFields) {
    const schema = found.content[kinds[0]].schema ?? {};
    const more = h("details", { class: "more", open: good }, h("summary", {}, schemas.type(schema)));
    const fill = () => more.append(schemas.fields(schema), kinds[0].includes("json") ? example(schema, schemas) : "");
    if (good) fill();
    else more.addEventListener("toggle", fill, { once: true });
    row.append(more);
  }
  return row;
}

function filter() {
  const input = $("filter");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) $("index").open = true;
    for (const each of document.querySelectorAll("[data-text]")) {
      each.hidden = !words.every((word) => each.dataset.text.includes(word));
    }
    for (const each of document.querySelectorAll("main section, .links")) {
      each.hidden = !each.querySelector("[data-text]:not([hidden])");
    }
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      input.focus();
    } else if (event.key === "Escape" && event.target === input) {
      input.value = "";
      input.dispatchEvent(new Event("input"));
    }
  });
}

/** Open the operation that the address names. */
function follow() {
  const name = decodeURIComponent(location.hash.slice(1));
  for (const link of document.querySelectorAll("nav a[aria-current]")) link.removeAttribute("aria-current");
  const operation = document.getElementById(name);
  if (!operation?.matches(".operation")) return;
  operation.open = true;
  operation.scrollIntoView();
  operation.querySelector("summary").focus({ preventScroll: true });
  document.querySelector(`nav a[href="#${CSS.escape(name)}"]`)?.setAttribute("aria-current", "true");
  if (matchMedia("(max-width: 52rem)").matches) $("index").open = false;
}
