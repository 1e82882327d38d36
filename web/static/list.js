// Lists by keyboard: j and k go down and up, Enter opens, / goes to the search field, n to the next page.
(() => {
  "use strict";
  const lines = [...document.querySelectorAll("a.headline")];
  const search = document.querySelector('form[role="search"] input[type="search"]');
  const next = document.querySelector('a[rel="next"]');

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const at = lines.indexOf(document.activeElement);
    if (event.key === "j" && lines.length) lines[Math.min(at + 1, lines.length - 1)].focus();
    else if (event.key === "k" && lines.length) lines[Math.max(at - 1, 0)].focus();
    else if (event.key === "/" && search) {
      search.focus();
      search.select();
    } else if (event.key === "n" && next) next.click();
    else return;
    event.preventDefault();
  });
  for (const line of lines) {
    line.closest("tr").addEventListener("click", (event) => {
      if (!event.target.closest("a") && getSelection().isCollapsed) line.click();
    });
  }
})();
