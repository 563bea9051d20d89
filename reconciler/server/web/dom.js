// SPDX-License-Identifier: MPL-2.0
// Elements are made anew for each draw, and what is on the page is changed to be like them, so
// that focus, scrolling, half-written forms and what a person opened stay as they are.

function attributesSet(element, attributes) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) listen(element, key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
}

// One listener a type for the element's life; what it does may change.
function heard(event) { return this.does[event.type]?.call(this, event); }
function listen(element, type, action) {
  element.does ??= {};
  if (!(type in element.does)) element.addEventListener(type, heard);
  element.does[type] = action;
}

function filled(element, children) {
  for (const child of children.flat(9))
    if (child !== null && child !== undefined && child !== false && child !== "")
      element.append(child instanceof Node ? child : String(child));
  return element;
}

// h("td", {class: "number"}, 3): an element with attributes, listeners and children. Text is text.
export function h(name, attributes, ...children) {
  const element = document.createElement(name);
  attributesSet(element, attributes);
  return filled(element, children);
}

export function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  attributesSet(element, attributes);
  return filled(element, children);
}

function patchAttributes(from, to) {
  for (const {name} of [...from.attributes])
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  for (const {name, value} of to.attributes)
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const [type, action] of Object.entries(to.does ?? {})) listen(from, type, action);
}

// What has a data-own looks after its own children.
function patch(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  patchAttributes(from, to);
  if (!from.dataset.own || from.dataset.own !== to.dataset.own) patchChildren(from, to);
}

// What stays keeps its place where it can: an element that is moved loses the focus.
export function patchChildren(from, to) {
  const keyed = new Map(), loose = new Map(), matches = new Map();
  for (const child of from.childNodes) {
    const key = child.dataset?.key;
    if (key) keyed.set(key, child);
    else loose.set(child.nodeName, [...(loose.get(child.nodeName) ?? []), child]);
  }
  for (const next of to.childNodes) {
    const key = next.dataset?.key, old = key ? keyed.get(key) : loose.get(next.nodeName)?.shift();
    if (old?.nodeName === next.nodeName) matches.set(next, old);
  }
  const kept = new Set(matches.values());
  for (const child of [...from.childNodes]) if (!kept.has(child)) child.remove();
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    const old = matches.get(next);
    if (old) patch(old, next);
    if (old && old === at) at = at.nextSibling;
    else from.insertBefore(old ?? next, at);
  }
}
