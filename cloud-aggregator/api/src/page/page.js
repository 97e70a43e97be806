// Replaces the run's part of the page while it moves. Without this the page is the same, only still.
"use strict";
const run = document.getElementById("run");
if (run && window.EventSource) {
  const source = new EventSource("/live");
  source.onmessage = (event) => { run.innerHTML = event.data; };
}
