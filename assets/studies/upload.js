// Drop files here: each is streamed to the app's own route, with progress, time left and a way to cancel.

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function transfer(file, url, list, done) {
  const line = element("div", undefined, "transfer");
  const bar = element("progress");
  const state = element("span", "0 %");
  const cancel = element("button", "Cancel", "quiet");
  const request = new XMLHttpRequest();
  const started = performance.now();
  bar.max = 1;
  line.append(element("span", file.name), bar, state, cancel);
  list.append(line);

  const fail = (reason) => {
    line.replaceChildren(element("span", `${file.name}: ${reason}`, "failed"));
    const dismiss = element("button", "Dismiss", "quiet");
    dismiss.addEventListener("click", () => line.remove());
    line.append(dismiss);
  };
  request.upload.addEventListener("progress", (event) => {
    const seconds = (performance.now() - started) / 1000;
    bar.value = event.loaded / event.total;
    const left = (seconds * (event.total - event.loaded)) / event.loaded;
    state.textContent = event.loaded === event.total ? "reading …" : `${Math.round(100 * bar.value)} %, ${Math.ceil(left)} s left`;
  });
  request.addEventListener("load", () => {
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch { answer = { error: `the app answered ${request.status}` }; }
    if (answer.study) { line.remove(); done(answer.study); } else fail(answer.error);
  });
  request.addEventListener("error", () => fail("the app could not be reached; is it still running?"));
  request.addEventListener("abort", () => line.remove());
  cancel.addEventListener("click", () => request.abort());
  request.open("POST", `${url}?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("[data-sleepfm='upload']");
  if (root.dataset.ready) return;
  root.dataset.ready = "1";
  const picker = element("input");
  picker.type = "file";
  picker.multiple = true;
  picker.hidden = true;
  const drop = element("div", "Drop recordings here, or click to choose (EDF, EDF+, BDF; any size)", "drop");
  drop.tabIndex = 0;
  drop.setAttribute("role", "button");
  const list = element("div");
  root.append(drop, picker, list);

  const take = (files) => {
    for (const file of files) {
      transfer(file, data.url, list, (study) => setTriggerValue("uploaded", { study, nonce: Date.now() }));
    }
  };
  drop.addEventListener("click", () => picker.click());
  drop.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") picker.click(); });
  picker.addEventListener("change", () => { take(picker.files); picker.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
}
