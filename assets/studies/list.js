// The list of studies as a plain table. Every text from a file goes in as textContent, never as HTML.

const COLUMNS = [
  ["id", "Study"], ["status", "Status"], ["start", "Recorded"], ["duration", "Duration"],
  ["channels", "Channels"], ["quality", "Quality"], ["engine", "Staged by"], ["actions", ""],
];

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function button(text, label, action, className) {
  const made = element("button", text, className);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

function statusCell(row, send) {
  const cell = element("td");
  const badge = element("span", row.status, `badge ${row.tone}`);
  if (row.message) badge.title = row.message;
  cell.append(badge);
  if (row.progress !== null) {
    const bar = element("progress");
    bar.max = 1;
    if (row.status !== "waiting") bar.value = row.progress;
    bar.setAttribute("aria-label", `progress of ${row.id}`);
    cell.append(bar, element("span", row.left, "muted left"));
  } else if (row.tone === "bad" && row.message) {
    cell.append(element("div", row.message, "reason"));
  }
  return cell;
}

function actionsCell(row, send) {
  const cell = element("td", null, "actions");
  if (!row.acting) return cell;
  if (row.job) {
    const cancel = button("Cancel", `Cancel the work on ${row.id}`, () => send("cancel", { job: row.job }), "quiet");
    cancel.dataset.job = row.job; // another job, another button
    cell.append(cancel);
  } else {
    if (row.changed) cell.append(button("Read again", `Read ${row.id} again`, () => send("read again", { study: row.id })));
    if (row.canStage) {
      const stage = () => send("stage", { study: row.id });
      if (row.trial) {
        const go = () => send("try", { study: row.id, model: row.trial });
        const trial = button(`Try ${row.trial}`, `Try ${row.trial} on ${row.id}`, go, "quiet");
        trial.title = row.trialRemark;
        cell.append(trial);
      }
      cell.append(row.engine ? button("Stage again", `Stage ${row.id}`, stage, "quiet") : button("Stage", `Stage ${row.id}`, stage));
    }
    const remove = button("Remove", `Remove ${row.id} from the list`, () => {
      // two clicks: a slip of the mouse must not take a study off the list
      if (remove.dataset.sure) send("remove", { study: row.id });
      else {
        remove.dataset.sure = "1";
        remove.textContent = "Really remove?";
        setTimeout(() => { delete remove.dataset.sure; remove.textContent = "Remove"; }, 4000);
      }
    }, "quiet");
    remove.title = "Takes the study and its results off the list. The recording stays where it is.";
    cell.append(remove);
  }
  return cell;
}

function tableRow(row, send) {
  const line = element("tr");
  line.dataset.study = row.id;
  const name = element("td", null, "name");
  const link = element("a", row.id);
  link.href = row.href;
  link.title = row.path;
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as everywhere on the web
    event.preventDefault();
    send("open", { study: row.id });
  });
  name.append(link);
  if (row.simulated) name.append(element("span", "simulated", "badge simulated"));
  const quality = element("td", row.quality);
  if (row.bad) quality.append(element("div", row.bad, "reason"));
  const channels = element("td", row.channels);
  if (row.problems) {
    const problems = element("div", row.problems, "muted");
    problems.title = row.problemList;
    channels.append(problems);
  }
  const engine = element("td", row.engine || "–");
  if (row.engineRemark) engine.append(element("div", row.engineRemark, "reason"));
  if (row.ownScoring) engine.append(element("div", row.ownScoring, "muted"));
  line.append(
    name, statusCell(row, send), element("td", row.start, "number"), element("td", row.duration, "number"),
    channels, quality, engine, actionsCell(row, send),
  );
  return line;
}

const drawnAs = new WeakMap(); // each cell's HTML as it was made: what was done to it since, such as a question asked, is no change

/** Put what has changed into the line that stands: a refresh must not take a link away between press and release. */
function brought(line, fresh) {
  [...fresh.cells].forEach((cell, k) => {
    const stands = line?.cells[k];
    drawnAs.set(cell, cell.outerHTML);
    if (stands && drawnAs.get(stands) !== cell.outerHTML) stands.replaceWith(cell);
  });
  return line ?? fresh;
}

function emptyTable() {
  const table = element("table");
  const head = element("tr");
  for (const [, title] of COLUMNS) head.append(element("th", title));
  const top = element("thead");
  top.append(head);
  table.append(top, element("tbody"));
  return table;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("[data-sleepfm='studies']");
  if (!root.firstElementChild) root.append(emptyTable());
  const body = root.querySelector("tbody");
  const send = (action, what) => setTriggerValue("action", { action, ...what, nonce: Date.now() });
  const focused = root.querySelector(":focus")?.getAttribute("aria-label");
  const there = new Map([...body.rows].map((line) => [line.dataset.study, line]));
  const lines = data.rows.map((row) => brought(there.get(row.id), tableRow(row, send)));
  if (lines.length !== body.rows.length || lines.some((line, k) => line !== body.rows[k])) body.replaceChildren(...lines);
  if (focused && !root.querySelector(":focus")) root.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}
