// Elements are made and filled here alone: text is always text, so that no name of a node or a function can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
}

// el makes an element of HTML. Attributes that are functions are listeners; children are elements and texts.
export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

// svg makes an element of a drawing.
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// set changes attributes, those alone that are to be others.
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

// say changes the text of an element, where it is to be another.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// byId is an element of index.html.
export const byId = (id) => document.getElementById(id);

// onResize calls draw with the width of an element, whenever that changes.
export function onResize(element, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (element.clientWidth !== width && element.clientWidth > 0) draw((width = element.clientWidth));
  }).observe(element);
}
