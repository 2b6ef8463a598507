// The pages work without this. It shows that something is loading, moves between tracklets with
// the arrow keys, presses buttons by their keys and remembers whether pictures are held still.
"use strict";

const root = document.documentElement;

addEventListener("submit", () => root.classList.add("loading"));
addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([download], [href^='#'])");
  const here = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (link && here) root.classList.add("loading");
});
addEventListener("pageshow", () => root.classList.remove("loading"));

const still = document.getElementById("still");
if (still) {
  still.checked = localStorage.getItem("still") === "yes";
  still.addEventListener("change", () => {
    localStorage.setItem("still", still.checked ? "yes" : "no");
  });
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

addEventListener("keydown", (event) => {
  const typed = event.target.closest("input:not([type=checkbox]), select, textarea");
  const key = event.key.length === 1 ? CSS.escape(event.key.toLowerCase()) : "";
  const button = key && document.querySelector(`[data-key="${key}"]`);
  if (!button || typed || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!root.classList.contains("loading")) button.click();
});

addEventListener("keydown", (event) => {
  const list = event.target.closest("[data-arrows]");
  if (!list || !(event.key in STEPS) || event.target.tagName !== "A") return;
  const links = [...document.querySelectorAll("[data-arrows] > li > a")];
  const wanted = links.indexOf(event.target) + STEPS[event.key];
  links[Math.min(Math.max(wanted, 0), links.length - 1)].focus();
  event.preventDefault();
});
