// The review queue by keyboard: each button and link says its key.
(() => {
  "use strict";
  const byKey = new Map([...document.querySelectorAll("[data-key]")].map((one) => [one.dataset.key, one]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, select, textarea")) return;
    const chosen = byKey.get(event.key === "s" ? "j" : event.key);
    if (!chosen) return;
    event.preventDefault();
    // Two answers to one call are none.
    byKey.clear();
    chosen.click();
  });
})();
