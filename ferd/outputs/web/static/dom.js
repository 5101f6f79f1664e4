// Small helpers around the document. Text always goes in as text, never as HTML.

export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// Sets text only when it changed: screen readers announce changes, and layout costs.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// A definition list from [name, value] pairs; null values are left out.
export function facts(node, pairs) {
  const wanted = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const terms = node.querySelectorAll("dt");
  if (terms.length !== wanted.length || wanted.some(([name], i) => terms[i].textContent !== name)) {
    node.replaceChildren(...wanted.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  }
  const values = node.querySelectorAll("dd");
  wanted.forEach(([, value], i) => text(values[i], String(value)));
}

export const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);
export const clock = (seconds, withSeconds = true) =>
  new Date(seconds * 1000).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", ...(withSeconds ? { second: "2-digit" } : {}) });

// A canvas in device pixels; returns its context in CSS pixels, and its size.
export function sharp(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
