"use strict";
// The filter over sentences. Everything else on the page works without a script.
for (const part of document.querySelectorAll(".filtered")) {
  const form = part.querySelector("form");
  const items = [...part.querySelectorAll("li")];
  const shown = part.querySelector("output");
  const none = part.querySelector(".none");
  for (const item of items) {
    item.words = (item.querySelector(".sentence").textContent + " " + item.dataset.id).toLowerCase();
  }
  const apply = () => {
    const wanted = [...form.querySelectorAll("[data-filter]")].map((field) => [field.dataset.filter, field.value]);
    let count = 0;
    for (const item of items) {
      const fits = wanted.every(([name, value]) =>
        value === "" || (name === "text" ? item.words.includes(value.trim().toLowerCase()) : item.dataset[name] === value));
      item.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count === items.length ? `${count} sentences` : `${count} of ${items.length} sentences`;
    none.hidden = count > 0;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}
