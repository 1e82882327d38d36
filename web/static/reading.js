// Reading a call: find words in its conversation, copy a link to a second or the summary, print. Without this file the find
// field still works, as a form, and a browser's own menus do the rest.
(() => {
  "use strict";
  const field = document.getElementById("find");
  const count = document.getElementById("found");
  const audio = document.getElementById("audio");
  const texts = [...document.querySelectorAll(".transcript > .turns > .turn p")];
  let places = [];
  let at = -1;

  const rangesIn = (element, pattern) => {
    const nodes = [];
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) nodes.push(walker.currentNode);
    const position = (offset, isEnd) => {
      for (const node of nodes) {
        if (offset < node.length || (isEnd && offset === node.length)) return [node, offset];
        offset -= node.length;
      }
      return null;
    };
    return [...element.textContent.matchAll(pattern)].map((found) => {
      const range = new Range();
      range.setStart(...position(found.index, false));
      range.setEnd(...position(found.index + found[0].length, true));
      return range;
    });
  };

  const mark = (name, ranges) => {
    if (typeof Highlight !== "undefined") CSS.highlights.set(name, new Highlight(...ranges));
  };

  const find = () => {
    const words = field.value.replaceAll('"', " ").trim().split(/\s+/).filter(Boolean);
    const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    places = words.length ? texts.flatMap((text) => rangesIn(text, new RegExp(escaped.join("\\s+"), "giu"))) : [];
    at = -1;
    mark("found", places);
    mark("found-here", []);
    count.textContent = words.length ? `${places.length} found` : "";
  };

  const step = (by) => {
    if (!places.length) return;
    at = (at + by + places.length) % places.length;
    mark("found-here", [places[at]]);
    count.textContent = `${at + 1} of ${places.length}`;
    places[at].startContainer.parentElement.scrollIntoView({ block: "center" });
  };

  if (field) {
    // What the server has marked is found again here, so that one can step through it.
    for (const marked of document.querySelectorAll(".transcript mark")) marked.replaceWith(...marked.childNodes);
    for (const text of texts) text.normalize();
    field.form.addEventListener("submit", (event) => event.preventDefault());
    field.addEventListener("input", find);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") field.blur();
    });
    if (field.value) {
      find();
      if (!location.hash && !new URLSearchParams(location.search).has("t")) step(1);
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
      event.preventDefault();
      field.focus();
      field.select();
    });
  }

  const tools = document.querySelector(".tools");
  if (!tools) return;
  tools.hidden = false;
  const copy = async (button, text) => {
    const named = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Browsers give the clipboard to pages over HTTPS alone.
      button.textContent = "Not allowed here";
    }
    button.addEventListener("blur", () => { button.textContent = named; }, { once: true });
  };
  document.getElementById("copy-link").addEventListener("click", (event) => {
    const address = new URL(location.pathname, location.href);
    if (audio && audio.currentTime > 0) address.searchParams.set("t", audio.currentTime.toFixed(1));
    copy(event.currentTarget, address.href);
  });
  document.getElementById("copy-summary")?.addEventListener("click", (event) => {
    const steps = [...document.querySelectorAll(".steps li")].map((one) => `- ${one.innerText.trim()}`);
    const summary = document.getElementById("summary").innerText.trim();
    copy(event.currentTarget, [document.querySelector("h1").innerText.trim(), summary, ...steps].join("\n"));
  });
  document.getElementById("print").addEventListener("click", () => print());
})();
