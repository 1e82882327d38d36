// Drop files anywhere on the page; the form sends them with a bar that says how far it is. Without this file it is a plain form.
(() => {
  "use strict";
  const form = document.getElementById("upload");
  const files = document.getElementById("files");
  const chosen = document.getElementById("chosen");
  const sent = document.getElementById("sent");
  const button = form.querySelector("button");

  document.getElementById("hint").textContent = "Drop recordings here, or choose them";
  const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const show = () => {
    chosen.replaceChildren(
      ...[...files.files].map((file) => {
        const line = document.createElement("li");
        line.textContent = `${file.name} (${size(file.size)})`;
        return line;
      }),
    );
    chosen.hidden = files.files.length === 0;
  };
  files.addEventListener("change", show);

  let depth = 0;
  const mark = (by) => {
    depth = Math.max(0, depth + by);
    form.classList.toggle("is-over", depth > 0);
  };
  addEventListener("dragenter", () => mark(1));
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    if (!event.dataTransfer.files.length) return;
    files.files = event.dataTransfer.files;
    show();
    button.focus();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "document";
    request.upload.addEventListener("progress", (moment) => {
      if (moment.lengthComputable) sent.value = moment.loaded / moment.total;
    });
    const fail = (words) => {
      button.disabled = false;
      sent.hidden = true;
      chosen.hidden = false;
      chosen.replaceChildren(Object.assign(document.createElement("li"), { textContent: words }));
    };
    request.addEventListener("error", () => fail("The files could not be sent: try again."));
    request.addEventListener("load", () => {
      const answer = request.response?.querySelector("main");
      if (!answer) return fail("The files could not be taken: try again.");
      document.querySelector("main").replaceWith(answer);
      document.title = request.response.title;
      document.querySelector("main h1").setAttribute("tabindex", "-1");
      document.querySelector("main h1").focus();
    });
    sent.hidden = false;
    button.disabled = true;
    request.send(new FormData(form));
  });
})();
