// The page: a sentence as it is typed, the verdict at once, the words a moment later.

const element = (id) => document.getElementById(id);
const form = element("form");
const text = element("text");
const result = element("result");
const words = element("words");
const detail = element("detail");
const examples = [...document.querySelectorAll(".pairs a")];

const VERDICT_AFTER = 120; // ms after the last keystroke
const WORDS_AFTER = 280; // ms after the verdict
const RETRY_AFTER = 2500; // ms after the server could not be reached

let turn = 0; // every change of the sentence is a new turn; what belongs to an old one is dropped
let timer;
let running = new AbortController();

const percent = (p) => (100 * p).toFixed(1);
const sleep = (time) => new Promise((done) => { timer = setTimeout(done, time); });

// ---- asking ---------------------------------------------------------------------------------------------------------

class Refusal extends Error {}

async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: running.signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new TypeError("The server does not answer.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const again = response.status === 429 || response.status === 503;
  const message = again ? "The server is busy." : `The server refused: ${answer.error?.message ?? response.status}.`;
  throw again ? new TypeError(message) : new Refusal(message);
}

async function judge(delay, aloud) {
  const mine = ++turn;
  clearTimeout(timer);
  running.abort();
  running = new AbortController();
  const sentence = text.value.trim();
  mark(sentence);
  if (!sentence) return empty();
  words.classList.add("stale");
  try {
    await sleep(delay);
    const { predictions } = await ask("/predict", { sentence });
    if (mine !== turn) return;
    verdict(predictions[0]);
    await sleep(delay ? WORDS_AFTER : 0);
    const perturbation = form.elements.perturbation.value;
    const explained = await ask("/explain", { sentence, perturbation });
    if (mine !== turn) return;
    explanation(explained);
    if (aloud) say(predictions[0], explained);
  } catch (error) {
    if (mine !== turn || error.name === "AbortError") return;
    const again = !(error instanceof Refusal);
    trouble(again ? `${error.message} Your sentence is still here; asking again.` : error.message);
    if (again) setTimeout(() => { if (mine === turn) judge(0, aloud); }, RETRY_AFTER);
  }
}

// ---- showing --------------------------------------------------------------------------------------------------------

function show(state, title, odds, fill, notes) {
  form.dataset.state = state;
  element("verdict").textContent = title;
  element("odds").textContent = odds;
  element("fill").setAttribute("width", `${fill}%`);
  element("notes").textContent = notes;
}

function empty() {
  show("empty", "Type a sentence, or take one from the pairs.", "", 0, "");
  words.replaceChildren();
  words.classList.remove("stale");
  detail.textContent = "";
  element("say").textContent = "";
}

function trouble(message) {
  show("trouble", message, "", 0, "");
  element("say").textContent = message;
}

function verdict({ label, probabilities, tokens, truncated, unknown_tokens: unknown }) {
  const title = label === "acceptable" ? "Acceptable" : "Not acceptable";
  const odds = `acceptable ${percent(probabilities.acceptable)} %, unacceptable ${percent(probabilities.unacceptable)} %`;
  const notes = [];
  if (truncated) notes.push(`The sentence is too long for the model: it saw the first ${tokens} tokens only.`);
  if (unknown === 1) notes.push("The model does not know one of the characters or words.");
  if (unknown > 1) notes.push(`The model does not know ${unknown} of the characters or words.`);
  show(label, title, odds, percent(probabilities.acceptable), notes.join(" "));
}

// Points as they are printed: "+12", "−3", "0".
function points(weight) {
  const rounded = Math.round(100 * weight);
  return rounded === 0 ? "0" : rounded > 0 ? `+${rounded}` : `−${-rounded}`;
}

function svg(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bar(weight, largest) {
  const height = Math.max(1, Math.round(18 * Math.abs(weight) / largest));
  const drawing = svg("svg", { width: "100%", height: 40, "aria-hidden": "true", focusable: "false" });
  const up = weight > 0;
  const rect = svg("rect", { x: "12%", width: "76%", y: up ? 20 - height : 20, height });
  if (!up) rect.setAttribute("fill", "url(#hatch)");
  if (points(weight) !== "0") drawing.append(rect);
  drawing.append(svg("line", { x1: 0, x2: "100%", y1: 20, y2: 20 }));
  return drawing;
}

function explanation({ prediction, perturbation, words: list }) {
  const largest = Math.max(0.1, ...list.map((word) => Math.abs(word.weight)));
  const whole = prediction.probabilities.acceptable;
  const kept = words.contains(document.activeElement) ? Number(document.activeElement.dataset.at) : -1;
  words.replaceChildren(...list.map((word, at) => {
    const shown = points(word.weight);
    const side = shown === "0" ? "neither" : word.weight > 0 ? "for" : "against";
    const button = document.createElement("button");
    button.type = "button";
    button.className = `word ${side}`;
    button.dataset.at = at;
    button.tabIndex = at === 0 ? 0 : -1;
    const without = perturbation === "mask" ? "With it hidden" : "Without it";
    button.dataset.detail = `“${word.text}”, ${shown}. ${without}, the probability of acceptable would be ${percent(whole - word.weight)} %, not ${percent(whole)} %.`;
    const spoken = { for: "speaks for the sentence", against: "speaks against the sentence", neither: "no effect" }[side];
    button.setAttribute("aria-label", `${word.text}: ${spoken}, ${shown} points`);
    const written = document.createElement("span");
    written.className = "w";
    written.textContent = word.text;
    const number = document.createElement("span");
    number.className = "n";
    number.textContent = shown;
    button.append(written, bar(word.weight, largest), number);
    const item = document.createElement("li");
    // Punctuation stands at its word.
    if (at > 0 && list[at - 1].end === word.start) item.className = "joined";
    item.append(button);
    return item;
  }));
  words.classList.remove("stale");
  const hint = matchMedia("(hover: none)").matches
    ? "Touch a word to see what it changes."
    : "Point at a word, or walk through them with Tab and the arrow keys.";
  detail.textContent = list.length > 1 ? hint : "";
  if (kept >= 0) words.querySelectorAll("button")[Math.min(kept, list.length - 1)]?.focus();
}

// What a screen reader says once typing has paused.
function say({ label, probabilities }, { words: list }) {
  const strongest = [...list].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))[0];
  const title = label === "acceptable" ? "Acceptable" : "Not acceptable";
  const weighs = strongest && points(strongest.weight) !== "0" ? ` The word that weighs most is “${strongest.text}”, ${points(strongest.weight)} points.` : "";
  element("say").textContent = `${title}. The probability of acceptable is ${percent(probabilities.acceptable)} percent.${weighs}`;
}

function mark(sentence) {
  for (const example of examples) {
    if (example.textContent === sentence) example.setAttribute("aria-current", "true");
    else example.removeAttribute("aria-current");
  }
}

// ---- listening ------------------------------------------------------------------------------------------------------

text.addEventListener("input", () => judge(VERDICT_AFTER, true));
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  judge(0, true);
});
form.addEventListener("submit", (event) => { event.preventDefault(); judge(0, true); });
form.addEventListener("change", (event) => { if (event.target.name === "perturbation") judge(0, true); });

for (const example of examples) {
  example.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    text.value = example.textContent;
    judge(0, true);
    // On a phone the verdict is above the examples.
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const { top } = result.getBoundingClientRect();
    if (top < 0) form.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
  });
}

const tell = (event) => {
  const button = event.target.closest("button.word");
  if (button) detail.textContent = button.dataset.detail;
};
words.addEventListener("focusin", tell);
words.addEventListener("pointerover", tell);
words.addEventListener("click", tell);
// One stop for Tab, and the arrow keys between words.
words.addEventListener("keydown", (event) => {
  const buttons = [...words.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  const next = buttons[Math.max(0, Math.min(to, buttons.length - 1))];
  for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
  next.focus();
});

// A link can carry a sentence, and a browser can bring one back.
judge(0, false);
