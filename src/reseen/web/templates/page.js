// The pages work without this. It shows that something is loading, moves between tracklets with the
// arrow keys, presses buttons by their keys, draws
// boxes on a photo and remembers whether pictures are held still.
"use strict";

const root = document.documentElement;

addEventListener("submit", () => root.classList.add("loading"));
addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([download], [href^='#'])");
  const here = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (link && here) root.classList.add("loading");
});
addEventListener("pageshow", () => root.classList.remove("loading"));

// Whoever is reading with a keyboard or a screen reader is not thrown back to the top.
const again = document.querySelector("[data-again]");
if (again) {
  setInterval(() => {
    const used = document.hidden || document.activeElement !== document.body || getSelection().type === "Range";
    if (!used) location.reload();
  }, 1000 * again.dataset.again);
}

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

// On a photo a drag draws a box, to be searched in; a click picks who was found there.
const scene = document.querySelector("[data-draw]");
if (scene) {
  const [drawing, form, image] = [scene.querySelector(".drawn"), scene.closest("form"), scene.querySelector("img")];
  let from = null;
  const place = (event) => {
    const { left, top, width } = image.getBoundingClientRect();
    const inside = (at, most) => Math.round(Math.min(Math.max((at * image.naturalWidth) / width, 0), most));
    return [inside(event.clientX - left, image.naturalWidth), inside(event.clientY - top, image.naturalHeight)];
  };
  const box = (to) => [0, 1].map((axis) => Math.min(from[axis], to[axis]))
    .concat([0, 1].map((axis) => Math.abs(to[axis] - from[axis])));

  scene.addEventListener("pointerdown", (event) => {
    from = place(event);
    scene.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  scene.addEventListener("pointermove", (event) => {
    if (!from) return;
    ["x", "y", "width", "height"].forEach((name, i) => drawing.setAttribute(name, box(place(event))[i]));
  });
  scene.addEventListener("pointercancel", () => { from = null; });
  scene.addEventListener("pointerup", (event) => {
    const [left, top, width, height] = box(place(event));
    from = null;
    if (Math.min(width, height) >= 8) {
      form.elements.drawn.value = [left, top, width, height];
      form.elements.drawn.closest(".filters").querySelector("button").focus();
      return;
    }
    const holds = (button) => {
      const [x, y, w, h] = button.value.split(",").map(Number);
      return left >= x && left <= x + w && top >= y && top <= y + h;
    };
    const area = (button) => button.value.split(",").slice(2).reduce((one, other) => one * other);
    const hit = [...form.querySelectorAll("[name=box]")].filter(holds).sort((a, b) => area(a) - area(b));
    if (hit.length) hit[0].click();
  });
}
