// Replaces the run's part of the page while it moves. Without this the page is the same, only still.
"use strict";
const run = document.getElementById("run");
if (run && window.EventSource) {
  const source = new EventSource("/live");
  source.onmessage = (event) => { run.innerHTML = event.data; };
}
// Times in the reader's zone on hover; the words on the page say how long ago.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) { time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" }); }
}
