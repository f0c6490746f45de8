// What a schema says, for people: a short type, a list of fields, an example.

/** An element; text is always text, so nothing in a description can become markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== ""));
  return element;
}

export class Schemas {
  constructor(description) {
    this.description = description;
  }

  /** The part of the document that a reference leads to; anything else as it is. */
  resolve(part) {
    let found = part ?? {};
    for (let steps = 0; found.$ref && steps < 20; steps++) {
      const { $ref, ...beside } = found;
      const path = $ref.replace(/^#\//, "").split("/");
      const target = path.reduce(
        (at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")],
        this.description,
      );
      found = { ...(target ?? {}), ...beside };
    }
    return found;
  }

  /** Such as `integer ≥ 1`, `array of Item` or `"red" | "blue"`. */
  type(part, depth = 0) {
    const schema = this.resolve(part);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices && depth < 4) return [...new Set(choices.map((each) => this.type(each, depth + 1)))].join(" | ");
    if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
    if ("const" in schema) return JSON.stringify(schema.const);
    if (schema.type === "array" && depth < 4) {
      return `array of ${schema.items ? this.type(schema.items, depth + 1) : "anything"}${this.#bounds(schema)}`;
    }
    if (schema.type === "object" || schema.properties) return schema.title ?? "object";
    if (schema.contentMediaType === "application/octet-stream") return "file";
    const name = [schema.type].flat().filter(Boolean).join(" | ") || "anything";
    return `${name}${schema.format ? ` (${schema.format})` : ""}${this.#bounds(schema)}`;
  }

  #bounds(schema) {
    const said = [
      schema.minimum != null && `≥ ${schema.minimum}`,
      schema.exclusiveMinimum != null && `> ${schema.exclusiveMinimum}`,
      schema.maximum != null && `≤ ${schema.maximum}`,
      schema.exclusiveMaximum != null && `< ${schema.exclusiveMaximum}`,
      schema.multipleOf != null && `multiple of ${schema.multipleOf}`,
      (schema.minLength || schema.maxLength != null) && `${schema.minLength ?? 0}–${schema.maxLength ?? "∞"} characters`,
      (schema.minItems || schema.maxItems != null) && `${schema.minItems ?? 0}–${schema.maxItems ?? "∞"} items`,
      schema.pattern && `/${schema.pattern}/`,
      schema.default != null && `= ${JSON.stringify(schema.default)}`,
    ].filter(Boolean);
    return said.length ? ` ${said.join(", ")}` : "";
  }

  /** The object that a schema has fields of, through lists, maps and choices; null without one. */
  #object(part, depth = 0) {
    const schema = this.resolve(part);
    if (schema.properties) return schema;
    if (depth > 4) return null;
    const inner = [schema.items, schema.additionalProperties, ...(schema.anyOf ?? schema.oneOf ?? [])];
    for (const each of inner) {
      const found = each && typeof each === "object" ? this.#object(each, depth + 1) : null;
      if (found) return found;
    }
    return null;
  }

  /** The fields of a schema as a list, deeper ones on demand; the type alone if it has none. */
  fields(part, seen = []) {
    const schema = this.#object(part);
    if (!schema) return h("p", { class: "type" }, this.type(part));
    const required = new Set(schema.required ?? []);
    return h(
      "ul",
      { class: "fields" },
      Object.entries(schema.properties).map(([name, each]) => this.#field(name, each, required.has(name), seen)),
    );
  }

  #field(name, part, required, seen) {
    const schema = this.resolve(part);
    const inner = this.#object(part);
    const row = h(
      "li",
      {},
      h(
        "div",
        { class: "field" },
        h("code", {}, name),
        h("span", { class: "type" }, this.type(part)),
        required ? h("span", { class: "required" }, "required") : null,
      ),
      schema.description && part.description ? h("p", { class: "said" }, part.description) : null,
    );
    if (inner && !seen.includes(inner.title ?? inner)) {
      const more = h("details", { class: "more" }, h("summary", {}, `fields of ${inner.title ?? "object"}`));
      more.addEventListener(
        "toggle",
        () => more.append(this.fields(inner, [...seen, inner.title ?? inner])),
        { once: true },
      );
      row.append(more);
    }
    return row;
  }

  /** A value that fits the schema. */
  example(part, seen = []) {
    const schema = this.resolve(part);
    if (schema.examples?.length) return schema.examples[0];
    if (schema.example !== undefined) return schema.example;
    if (schema.default != null) return schema.default;
    if ("const" in schema) return schema.const;
    if (schema.enum) return schema.enum[0];
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) {
      const first = choices.find((each) => this.resolve(each).type !== "null") ?? choices[0];
      return this.example(first, seen);
    }
    const name = schema.title;
    if (name && seen.includes(name)) return {};
    const deeper = name ? [...seen, name] : seen;
    switch ([schema.type].flat()[0]) {
      case "object":
        return this.#exampleObject(schema, deeper);
      case "array":
        return schema.items && seen.length < 6 ? [this.example(schema.items, deeper)] : [];
      case "integer":
      case "number":
        return schema.minimum ?? (schema.exclusiveMinimum != null ? schema.exclusiveMinimum + 1 : 0);
      case "boolean":
        return true;
      case "null":
        return null;
      case "string":
        return exampleText(schema);
      default:
        return schema.properties ? this.#exampleObject(schema, deeper) : null;
    }
  }

  #exampleObject(schema, seen) {
    const found = {};
    for (const [name, each] of Object.entries(schema.properties ?? {})) found[name] = this.example(each, seen);
    if (!schema.properties && typeof schema.additionalProperties === "object") {
      found.key = this.example(schema.additionalProperties, seen);
    }
    return found;
  }
}

function exampleText(schema) {
  const byFormat = {
    date: "2026-01-31",
    time: "12:00:00",
    "date-time": "2026-01-31T12:00:00Z",
    duration: "PT1H",
    uuid: "00000000-0000-4000-8000-000000000000",
    email: "ada@example.com",
    uri: "https://example.com",
    byte: "",
  };
  const text = byFormat[schema.format] ?? "text";
  return text.padEnd(schema.minLength ?? 0, "x").slice(0, schema.maxLength ?? undefined);
}

/** A description in CommonMark, as far as docstrings use it: paragraphs, lists, code. */
export function prose(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => /^\s*[-*] /.test(line))) {
      return h("ul", {}, lines.map((line) => h("li", {}, inline(line.replace(/^\s*[-*] /, "")))));
    }
    return h("p", {}, inline(block));
  });
}

function inline(text) {
  return text.split(/(`[^`]+`)/).map((part) =>
    part.startsWith("`") && part.length > 2 ? h("code", {}, part.slice(1, -1)) : part,
  );
}
