"use strict";
for (const table of document.querySelectorAll("table.claims")) {
  const body = table.tBodies[0], rows = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort || row.cells[column].textContent;
      rows.sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }) * (down ? -1 : 1));
      body.append(...rows);
    });
  });
  const filter = document.createElement("p");
  filter.className = "filter";
  const field = (words, input) => {
    const label = document.createElement("label");
    label.append(words, input);
    filter.append(label);
    input.addEventListener("input", () => {
      const shown = rows.filter((row) => {
        const found = row.textContent.toLowerCase().includes(search.value.toLowerCase());
        row.hidden = !found || (verdict.value !== "" && row.dataset.verdict !== verdict.value);
        return !row.hidden;
      });
      state.textContent = `${shown.length} of ${rows.length} shown`;
    });
    return input;
  };
  const search = field("Search", Object.assign(document.createElement("input"), { type: "search" }));
  const verdict = field("Verdict", document.createElement("select"));
  const found = [...new Set(rows.map((row) => row.dataset.verdict))];
  for (const word of ["", ...found]) verdict.add(new Option(word || "all", word));
  const state = document.createElement("span");
  state.setAttribute("role", "status");
  filter.append(state);
  table.before(filter);
}
const open = () => {
  const place = document.getElementById(location.hash.slice(1));
  for (let it = place; it; it = it.parentElement) if (it.tagName === "DETAILS") it.open = true;
  if (place) place.scrollIntoView();
};
addEventListener("hashchange", open);
open();
