// The player of a call's page: seeks to turns, marks the turn that is heard, follows it, draws the outline of the sound.
// Without this file the page still reads, and the browser's own player still plays.
(() => {
  "use strict";
  const audio = document.getElementById("audio");
  if (!audio) return;
  const controls = document.querySelector(".player .controls");
  const playButton = document.getElementById("play");
  const nowText = document.getElementById("now");
  const follow = document.getElementById("follow");
  const skip = document.getElementById("skip");
  const strip = document.getElementById("strip");
  const head = document.getElementById("head");
  const wave = document.getElementById("wave");
  const turns = [...document.querySelectorAll(".turn")].map((element) => ({
    element,
    start: Number(element.dataset.start),
    end: Number(element.dataset.end),
  }));
  const duration = strip ? Number(strip.dataset.duration) : NaN;
  // Shorter pauses belong to speech; this much of a longer one is left, so that the ear notices it.
  const SILENCE_S = 1.5;
  const LEFT_S = 0.3;
  let current = null;
  let lastByHand = 0;

  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const minutes = Math.floor(whole / 60);
    const rest = String(whole % 60).padStart(2, "0");
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };

  const seek = (seconds, andPlay) => {
    audio.currentTime = Math.max(0, seconds);
    show();
    if (andPlay) audio.play().catch(() => {});
  };

  const show = () => {
    const at = audio.currentTime;
    nowText.textContent = clock(at);
    if (head && duration) head.setAttribute("x", String(Math.min(1, at / duration) * 1000 - 1));
    // The latest turn that has begun: where two overlap, the one that interrupts.
    let heard = null;
    for (const turn of turns) if (turn.start <= at + 0.05) heard = turn;
    if (heard && at > heard.end + 2) heard = null;
    if (heard === current) return;
    if (current) current.element.removeAttribute("aria-current");
    current = heard;
    if (!current) return;
    current.element.setAttribute("aria-current", "true");
    const isLeftAlone = Date.now() - lastByHand > 4000;
    if (follow.checked && !audio.paused && isLeftAlone) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      current.element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    }
  };

  const skipSilence = () => {
    if (!skip.checked || audio.paused || audio.seeking) return;
    const at = audio.currentTime;
    const ended = Math.max(0, ...turns.filter((turn) => turn.start <= at).map((turn) => turn.end));
    const next = Math.min(...turns.filter((turn) => turn.start > at).map((turn) => turn.start));
    if (Number.isFinite(next) && at >= ended + LEFT_S && next - at > SILENCE_S) audio.currentTime = next - LEFT_S;
  };

  // A lane for each channel, the agent's above, as in the strip below.
  const drawWave = (peaks) => {
    const agent = wave.dataset.agent === "" ? -1 : Number(wave.dataset.agent);
    const lanes = peaks.channels.map((channel, index) => ({ ...channel, isAgent: index === agent }));
    lanes.sort((one, other) => Number(other.isAgent) - Number(one.isAgent));
    const colours = getComputedStyle(wave);
    wave.width = Math.round(wave.clientWidth * (devicePixelRatio || 1));
    wave.height = Math.round(wave.clientHeight * (devicePixelRatio || 1));
    const canvas = wave.getContext("2d");
    const laneHeight = wave.height / lanes.length;
    const width = wave.width * Math.min(1, peaks.duration_s / duration);
    lanes.forEach((lane, index) => {
      const loudest = Math.max(8, ...lane.high, ...lane.low.map((low) => -low));
      const scale = laneHeight / 2 / loudest;
      const middle = (index + 0.5) * laneHeight;
      const step = width / lane.low.length;
      canvas.fillStyle = colours.getPropertyValue(lane.isAgent ? "--accent" : "--customer").trim();
      lane.low.forEach((low, at) => {
        const top = middle - lane.high[at] * scale;
        canvas.fillRect(at * step, top, Math.max(step, 1), Math.max((lane.high[at] - low) * scale, 1));
      });
    });
  };

  // A link to a second: ?t=83 as people copy it, or #t=83.
  const wantedSecond = () => {
    const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    const asked = found ? found[1] : new URLSearchParams(location.search).get("t");
    return asked !== null && /^\d+(\.\d+)?$/.test(asked) ? Number(asked) : null;
  };

  const seekToLink = () => {
    const seconds = wantedSecond();
    if (seconds === null) return;
    seek(seconds, false);
    const turn = turns.filter((candidate) => candidate.start <= seconds + 0.05).pop();
    if (turn) turn.element.scrollIntoView({ block: "center" });
  };

  const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());

  for (const turn of turns) turn.element.removeAttribute("aria-current");
  audio.removeAttribute("controls");
  audio.hidden = true;
  controls.hidden = false;
  document.body.classList.add("has-player");

  for (const turn of turns) {
    turn.element.addEventListener("click", (event) => {
      // Who marks words in order to copy them does not want to jump.
      if (!getSelection().isCollapsed) return;
      event.preventDefault();
      history.replaceState(null, "", `?t=${turn.start.toFixed(1)}`);
      seek(turn.start, true);
    });
  }
  for (const quote of document.querySelectorAll("a[data-start]")) {
    quote.addEventListener("click", () => seek(Number(quote.dataset.start), false));
  }
  for (const picture of [strip, wave]) {
    if (!picture) continue;
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * duration, false);
    });
  }
  if (wave) {
    fetch(wave.dataset.peaks)
      .then((answer) => (answer.status === 200 ? answer.json() : null))
      .then((peaks) => {
        if (!peaks) return;
        wave.hidden = false;
        drawWave(peaks);
        addEventListener("resize", () => drawWave(peaks));
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawWave(peaks));
      })
      .catch(() => {});
  }
  playButton.addEventListener("click", toggle);
  document.getElementById("back").addEventListener("click", () => seek(audio.currentTime - 5, false));
  document.getElementById("speed").addEventListener("change", (event) => {
    audio.playbackRate = Number(event.target.value);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, button, a, summary")) return;
    if (event.key === " ") toggle();
    else if (event.key === "ArrowLeft") seek(audio.currentTime - 5, false);
    else if (event.key === "ArrowRight") seek(audio.currentTime + 5, false);
    else return;
    event.preventDefault();
  });
  for (const kind of ["wheel", "touchmove"]) {
    document.addEventListener(kind, () => { lastByHand = Date.now(); }, { passive: true });
  }
  for (const kind of ["play", "pause", "ended"]) {
    audio.addEventListener(kind, () => {
      playButton.textContent = audio.paused ? "▶" : "❚❚";
      playButton.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    });
  }
  audio.addEventListener("timeupdate", () => {
    skipSilence();
    show();
  });
  audio.addEventListener("error", () => {
    controls.textContent = "The recording cannot be played here.";
  });
  // A quote's link names its turn: the second in the address is that of another one.
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#t=")) seekToLink();
  });
  if (audio.readyState > 0) seekToLink();
  else audio.addEventListener("loadedmetadata", seekToLink, { once: true });
})();
