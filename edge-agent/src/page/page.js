// Renews what moves, and redraws the preview while the slider is dragged. Without this the page is the same, only still.
"use strict";
const base = document.documentElement.dataset.base || "";

const live = document.getElementById("live");
if (live && window.EventSource) {
  const source = new EventSource(base + "/live");
  source.onmessage = (event) => {
    // Somebody is about to press a button in here: do not take it away from under the finger.
    if (!live.contains(document.activeElement)) live.innerHTML = event.data;
  };
}

const slider = document.getElementById("per-week");
const preview = document.getElementById("preview");
if (slider && preview && window.fetch) {
  const shown = document.getElementById("per-week-shown");
  let waiting = null;
  slider.addEventListener("input", () => {
    shown.textContent = String(Number(slider.value));
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const wanted = slider.value;
      const answer = await fetch(base + "/preview?per_week=" + encodeURIComponent(wanted));
      if (answer.ok && wanted === slider.value) preview.innerHTML = await answer.text();
    }, 60);
  });
}
