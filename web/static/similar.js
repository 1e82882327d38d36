// The list of similar calls, fetched when its place comes into view. Without this file the link to their page does.
(() => {
  "use strict";
  const section = document.getElementById("similar");
  if (!section || typeof IntersectionObserver === "undefined") return;
  const list = section.querySelector("ul");

  const show = async () => {
    const answer = await fetch(section.dataset.from, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const rows = [...page.querySelectorAll("#similar-calls tbody tr")].slice(0, 5);
    for (const row of rows) {
      const found = row.querySelector("a.headline");
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = found.getAttribute("href");
      link.textContent = found.textContent;
      const when = document.createElement("span");
      when.className = "quiet";
      when.textContent = row.querySelector(".when").textContent;
      item.append(link, document.createElement("br"), when);
      list.append(item);
    }
    list.hidden = rows.length === 0;
  };

  const watch = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    watch.disconnect();
    show().catch(() => {});
  });
  watch.observe(section);
})();
