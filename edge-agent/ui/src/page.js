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

// What was seen at a declared miss is looked up in seconds.
const misses = document.getElementById("misses");
if (misses && window.fetch) {
  const ask = async () => {
    const answer = await fetch(base + "/misses");
    if (!answer.ok) return;
    misses.innerHTML = await answer.text();
    wait();
  };
  const wait = () => {
    if (misses.querySelector("[data-waits]")) setTimeout(ask, 1000);
  };
  wait();
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
