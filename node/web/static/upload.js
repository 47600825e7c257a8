// Sends files one by one, each as the body of a request of its own, and tells what became of them.

const drop = document.getElementById("drop");
const bar = document.getElementById("progress");
const sum = document.getElementById("sum");
const table = document.getElementById("results");
const words = drop.dataset;
const AT_ONCE = 2;
const SHOWN = 200; // rows; what was refused is always shown

const totals = { files: 0, done: 0, stored: 0, refused: 0 };
const queue = [];
let busy = 0;

function add(files) {
  for (const file of files) {
    if (!file.name.startsWith(".")) queue.push(file);
  }
  totals.files = totals.done + busy + queue.length;
  bar.hidden = false;
  work();
}

function work() {
  while (busy < AT_ONCE && queue.length) {
    busy += 1;
    send(queue.shift()).finally(() => {
      busy -= 1;
      totals.done += 1;
      tell();
      work();
    });
  }
  tell();
}

async function send(file) {
  let told;
  try {
    const answer = await fetch("/upload/file", {
      method: "POST",
      body: file,
      headers: { "X-CSRF-Token": words.token, "Content-Type": "application/octet-stream" },
      credentials: "same-origin",
    });
    const isJson = (answer.headers.get("content-type") || "").startsWith("application/json");
    told = isJson ? await answer.json() : { error: `${answer.status}` };
  } catch {
    told = { error: words.broken };
  }
  totals.stored += told.stored || 0;
  totals.refused += told.error ? 1 : told.refused || 0;
  const isBad = told.error || told.refused;
  if (isBad || table.tBodies[0].rows.length < SHOWN) row(file.name, told);
}

function row(name, told) {
  table.hidden = false;
  const cells = [name, told.stored || 0, told.error ? 1 : told.refused || 0,
    told.error || (told.reasons || []).join("; ")];
  const line = table.tBodies[0].insertRow();
  cells.forEach((text, place) => {
    const cell = line.insertCell();
    cell.textContent = String(text);
    if (place === 1 || place === 2) cell.className = "number";
    if (place === 2 && text) cell.classList.add("bad");
  });
}

function tell() {
  bar.max = Math.max(1, totals.files);
  bar.value = totals.done;
  const rest = totals.files - totals.done;
  sum.textContent = `${totals.stored} ${words.stored}, ${totals.refused} ${words.refused}`
    + (rest ? `, ${rest} ${words.waiting}` : "");
  drop.dataset.waitingFiles = String(rest);
}

/** Files of what was dropped, also those in folders. */
async function filesOf(items) {
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      found.push(await new Promise((resolve, reject) => { entry.file(resolve, reject); }));
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a reader gives a hundred at a time
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return;
      for (const each of some) await walk(each);
    }
  };
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  for (const entry of entries) await walk(entry);
  return found;
}

for (const id of ["files", "folder"]) {
  document.getElementById(id).addEventListener("change", (event) => {
    add(event.target.files);
    event.target.value = "";
  });
}
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("is-over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("is-over");
  add(await filesOf(event.dataTransfer.items));
});
