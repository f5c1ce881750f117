// Draws openapi.json, and sends what one wants to try.

const main = document.getElementById("main");
const state = document.getElementById("state");

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const resolve = (api, node) => (node?.$ref ? node.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : node);
const schemaName = (schema) => schema?.$ref?.split("/").pop();

function type(schema) {
  if (!schema) return "";
  if (schema.$ref) return make("a", { href: `#${schemaName(schema)}` }, schemaName(schema));
  if (schema.type === "array") return make("span", {}, "list of ", type(schema.items));
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const) return JSON.stringify(schema.const);
  if (schema.oneOf) return make("span", {}, ...schema.oneOf.flatMap((one, at) => (at ? [" or ", type(one)] : [type(one)])));
  return [schema.type].flat().join(" or ");
}

function table(head, rows) {
  const line = (cell, cells) => make("tr", {}, ...cells.map((one) => make(cell, cell === "th" ? { scope: "col" } : {}, one ?? "")));
  return make("div", { class: "wide" }, make("table", {}, make("thead", {}, line("th", head)), make("tbody", {}, ...rows.map((row) => line("td", row)))));
}

const code = (text) => make("code", {}, text);
// `like this` is code in the document's prose.
const prose = (text = "") => make("span", {}, ...text.split("`").map((part, at) => (at % 2 ? code(part) : part)));

function tryIt(path, method, operation, body) {
  const form = make("form", {});
  const fields = (operation.parameters ?? []).map((parameter) => {
    const input = make("input", { type: "text", name: parameter.name, id: `${operation.operationId}-${parameter.name}`, value: parameter.example ?? "" });
    form.append(make("label", { for: input.id }, parameter.name), input);
    return input;
  });
  let area;
  if (body) {
    area = make("textarea", { rows: 4, id: `${operation.operationId}-body`, spellcheck: "false" });
    area.value = JSON.stringify(body.example, null, 2);
    form.append(make("label", { for: area.id }, "Body"), area);
  }
  const output = make("pre", { tabindex: "0", role: "status", "aria-label": "Answer" });
  output.hidden = true;
  form.append(make("p", {}, make("button", { type: "submit" }, "Send")), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams(fields.filter((field) => field.value).map((field) => [field.name, field.value]));
    const url = query.size ? `${path}?${query}` : path;
    const options = { method: method.toUpperCase() };
    if (area) Object.assign(options, { body: area.value, headers: { "Content-Type": "application/json" } });
    output.hidden = false;
    try {
      const began = performance.now();
      const response = await fetch(url, options);
      const answer = await response.text();
      const time = (performance.now() - began).toFixed(1);
      const json = response.headers.get("content-type")?.startsWith("application/json");
      output.textContent = `${response.status} ${response.statusText}, ${time} ms\n\n${json ? JSON.stringify(JSON.parse(answer), null, 2) : answer}`;
    } catch {
      output.textContent = "The server does not answer.";
    }
  });
  return make("details", {}, make("summary", {}, "Try it"), form);
}

function operation(api, path, method, one) {
  const section = make("section", { id: one.operationId },
    make("h2", {}, make("span", { class: "method" }, `${method.toUpperCase()} `), code(path)),
    make("p", {}, prose(one.description ?? one.summary)));
  if (one.parameters) {
    section.append(make("h3", {}, "Parameters"), table(["Name", "What", "Type"],
      one.parameters.map((parameter) => [code(parameter.name), parameter.description, type(parameter.schema)])));
  }
  const body = one.requestBody?.content["application/json"];
  if (body) section.append(make("h3", {}, "Body"), make("p", {}, type(body.schema)));
  section.append(make("h3", {}, "Answers"), table(["Status", "When", "What"],
    Object.entries(one.responses).map(([status, response]) => {
      const { description, content } = resolve(api, response);
      const [kind, media] = Object.entries(content ?? {})[0] ?? ["", {}];
      return [status, prose(description), media.schema?.$ref ? type(media.schema) : kind];
    })));
  section.append(tryIt(path, method, one, body));
  return section;
}

function schema(api, name, one) {
  const section = make("section", { id: name }, make("h2", {}, name), make("p", {}, prose(one.description)));
  for (const part of one.oneOf ?? [one]) {
    const properties = Object.entries(part.properties ?? {});
    const needed = (key) => (part.required?.includes(key) ? "" : "may be absent. ");
    if (properties.length) {
      section.append(table(["Field", "Type", "What"],
        properties.map(([key, value]) => [code(key), type(value), prose(needed(key) + (resolve(api, value).description ?? ""))])));
    }
  }
  return section;
}

try {
  const response = await fetch("/openapi.json");
  const api = await response.json();
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => [path, method, one]));
  const links = operations.map(([path, method, one]) =>
    make("li", {}, make("a", { href: `#${one.operationId}` }, `${method.toUpperCase()} ${path}`)));
  main.append(
    ...api.info.description.split("\n\n").map((paragraph) => make("p", {}, prose(paragraph))),
    make("nav", { "aria-label": "Requests" }, make("h3", {}, "Requests"), make("ul", {}, ...links)),
    ...operations.map((one) => operation(api, ...one)),
    ...Object.entries(api.components.schemas).map(([name, one]) => schema(api, name, one)));
  // The target of a link such as /docs#predict exists only now.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
} catch {
  state.textContent = "The server does not answer. Load this page again when it does.";
}
