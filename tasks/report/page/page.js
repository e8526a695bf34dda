"use strict";

// What draws each kind of section: kind -> (element, data). Every view is a file of its own that
// adds itself here.
const views = {};

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  // append() makes text nodes of strings: no text of a user's ever becomes markup.
  element.append(...children);
  return element;
}

const make = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const tooltip = {
  // Children as for make(), shown beside the pointer.
  show(event, ...children) {
    const box = document.getElementById("tooltip");
    box.replaceChildren(...children);
    box.hidden = false;
    const gap = 14, size = box.getBoundingClientRect();
    const right = event.clientX + gap + size.width < innerWidth;
    const below = event.clientY + gap + size.height < innerHeight;
    box.style.left = Math.max(4, right ? event.clientX + gap : event.clientX - gap - size.width) + "px";
    box.style.top = Math.max(4, below ? event.clientY + gap : event.clientY - gap - size.height) + "px";
  },
  hide() {
    document.getElementById("tooltip").hidden = true;
  },
};

// A number as people read it: 12,345 or 0.00123.
function readable(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size !== 0 && size < 1e-3) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

// Calls again when the colours change.
const recolour = [];

function start() {
  for (const section of document.querySelectorAll("section[data-kind]")) {
    const data = JSON.parse(section.querySelector("script").textContent);
    views[section.dataset.kind](section.querySelector(".view"), data);
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const changed = () => recolour.forEach((redraw) => redraw());
  dark.addEventListener("change", changed);
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    changed();
  });
}
