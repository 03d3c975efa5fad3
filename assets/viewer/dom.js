// Small helpers for the page. Labels from files are hostile text: they only ever become text nodes or canvas text.

export function element(tag, { className = "", text = "", title = "", data = {}, on = {} } = {}, children = []) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  if (title) node.title = title;
  Object.assign(node.dataset, data);
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  node.append(...children);
  return node;
}

/** Size a canvas for the screen's pixels and return its context with CSS pixels as unit. */
export function sizedContext(canvas, width, height, options) {
  const ratio = window.devicePixelRatio || 1;
  const columns = Math.max(1, Math.round(width * ratio));
  const rows = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d", options);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Fetch, or throw an Error whose message a technician can act on. */
export async function fetchChecked(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The app does not answer. Is it still running? Start it again, then try again.");
  }
  if (!response.ok) {
    let message = `The app answered with status ${response.status}.`;
    try {
      message = (await response.json()).error ?? message;
    } catch {
      // not ours to explain: the status must do
    }
    throw new Error(message);
  }
  return response;
}

export async function fetchJson(url) {
  return (await fetchChecked(url)).json();
}

/** Send JSON (or ask, without a body) and return { status, answer } whatever the status; throws when nobody answers. */
export async function sendJson(url, body) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(url, {
      method: text === undefined ? "GET" : "POST",
      headers: text === undefined ? {} : { "Content-Type": "application/json" },
      body: text,
      credentials: "same-origin",
      cache: "no-store",
      keepalive: text !== undefined && text.length < 30_000, // a tab that closes still sends what it had begun
    });
  } catch {
    throw new Error("the app does not answer");
  }
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // not ours to explain: the status must do
  }
  return { status: response.status, answer };
}

export function bytesFromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
