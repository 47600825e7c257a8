// Slices of a study, with the outlines of its lesions over them.
//
// The node sends values as they are, and the window is applied here: dragging it asks the node
// nothing. Neighbours are fetched ahead, in the direction of scrolling.

const HELD_BYTES = 384 * 1024 * 1024;
const AHEAD = 16;
const BEHIND = 6;
const AT_ONCE = 4;
const FULL_DRAG = 300; // pixels of a drag that double the width, or move the centre by it

const KINDS = { int16: Int16Array, float32: Float32Array };

/** Fetches slices, those near the shown one first, and holds a bounded number of them. */
class Slices {
  constructor(address, count) {
    this.address = address;
    this.count = count;
    this.held = new Map();
    this.coming = new Map();
    this.queue = [];
    this.bytes = 0;
  }

  get(k) {
    const slice = this.held.get(k);
    if (slice) { // to the end of the line of those that are dropped
      this.held.delete(k);
      this.held.set(k, slice);
    }
    return slice;
  }

  fetch(k) {
    if (this.coming.has(k)) return this.coming.get(k);
    const coming = this.load(k).finally(() => {
      this.coming.delete(k);
      this.work();
    });
    this.coming.set(k, coming);
    return coming;
  }

  async load(k) {
    const answer = await fetch(`${this.address}/${k}`, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    const kind = KINDS[answer.headers.get("X-Values")];
    const slice = {
      values: new kind(await answer.arrayBuffer()),
      rows: Number(answer.headers.get("X-Rows")),
      columns: Number(answer.headers.get("X-Columns")),
    };
    this.held.set(k, slice);
    this.bytes += slice.values.byteLength;
    while (this.bytes > HELD_BYTES && this.held.size > 1) {
      const [oldest, dropped] = this.held.entries().next().value;
      this.held.delete(oldest);
      this.bytes -= dropped.values.byteLength;
    }
    return slice;
  }

  /** What the reader will want next; replaces what was wanted before. */
  want(k, direction) {
    this.queue = [];
    for (let step = 1; step <= AHEAD; step += 1) {
      this.queue.push(k + direction * step);
      if (step <= BEHIND) this.queue.push(k - direction * step);
    }
    this.queue = this.queue.filter((n) => n >= 0 && n < this.count);
    this.work();
  }

  work() {
    while (this.coming.size < AT_ONCE && this.queue.length) {
      const k = this.queue.shift();
      if (!this.held.has(k) && !this.coming.has(k)) this.fetch(k).catch(() => {});
    }
  }
}

export class Viewer {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.address = root.dataset.address;
    this.canvas = this.part("canvas");
    this.context = this.canvas.getContext("2d");
    this.svg = this.part("outlines");
    this.k = 0;
    this.direction = 1;
    this.inverted = false;
    this.followers = [];
  }

  async open() {
    this.tell(this.root.dataset.opening);
    const answer = await fetch(`${this.address}/stack`, { credentials: "same-origin" });
    if (answer.redirected) {
      window.location.reload(); // to the login: the session has ended
      return false;
    }
    if (!answer.ok) {
      this.tell(this.root.dataset.gone);
      this.root.classList.add("is-gone");
      return false;
    }
    this.stack = await answer.json();
    this.slices = new Slices(`${this.address}/slices`, this.stack.slices);
    this.prepare();
    this.listen();
    const outlines = await fetch(`${this.address}/outlines`, { credentials: "same-origin" });
    this.outlines = outlines.ok ? await outlines.json() : {};
    const first = this.stack.lesions[0];
    this.setWindow(this.part("windows").value);
    await this.show(first ? first.largest : Math.floor(this.stack.slices / 2));
    this.tell("");
    this.root.dataset.ready = "true";
    return true;
  }

  prepare() {
    const { rows, columns, row_mm: row, column_mm: column, windows, letters } = this.stack;
    this.canvas.width = columns;
    this.canvas.height = rows;
    const frame = this.part("frame");
    frame.style.aspectRatio = `${columns * column} / ${rows * row}`;
    frame.style.setProperty("--ratio", String((columns * column) / (rows * row)));
    this.svg.setAttribute("viewBox", `0 0 ${columns} ${rows}`);
    for (const [side, text] of Object.entries(letters)) this.part(side).textContent = text;
    const choice = this.part("windows");
    for (const name of Object.keys(windows)) {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = choice.dataset[name.replace(/ (\w)/g, (_, c) => c.toUpperCase())] || name;
      choice.append(option);
    }
    this.part("slider").max = String(this.stack.slices - 1);
    this.image = this.context.createImageData(columns, rows);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.table = new Uint32Array(65536);
  }

  // -- window and level ------------------------------------------------------------------------

  setWindow(name) {
    [this.low, this.high] = this.stack.windows[name];
    this.grey();
  }

  get level() { return (this.low + this.high) / 2; }
  get width() { return this.high - this.low; }

  setLevelAndWidth(level, width) {
    const least = Math.max(1e-6, (this.stack.windows["full range"][1]
      - this.stack.windows["full range"][0]) / 4096);
    const kept = Math.max(least, width);
    this.low = level - kept / 2;
    this.high = level + kept / 2;
    this.grey();
  }

  grey() {
    const scale = 255 / (this.high - this.low);
    for (let value = -32768; value < 32768; value += 1) {
      this.table[value + 32768] = this.colour((value - this.low) * scale);
    }
    this.paint();
  }

  colour(grey) {
    let level = Math.min(255, Math.max(0, Math.round(grey)));
    if (this.inverted) level = 255 - level;
    return 0xff000000 | (level << 16) | (level << 8) | level;
  }

  paint() {
    if (!this.shown) return;
    const { values } = this.shown;
    if (values instanceof Int16Array) {
      for (let n = 0; n < values.length; n += 1) this.pixels[n] = this.table[values[n] + 32768];
    } else {
      const scale = 255 / (this.high - this.low);
      for (let n = 0; n < values.length; n += 1) {
        this.pixels[n] = this.colour((values[n] - this.low) * scale);
      }
    }
    this.context.putImageData(this.image, 0, 0);
    this.caption();
  }

  // -- slices ----------------------------------------------------------------------------------

  async show(k, { lead = true } = {}) {
    const wanted = Math.min(this.stack.slices - 1, Math.max(0, Math.round(k)));
    if (wanted !== this.k) this.direction = wanted > this.k ? 1 : -1;
    const before = this.k;
    this.k = wanted;
    this.part("slider").value = String(wanted);
    this.caption();
    if (lead) for (const follower of this.followers) follower.follow(this, wanted - before);
    let slice = this.slices.get(wanted);
    if (!slice) {
      try {
        slice = await this.slices.fetch(wanted);
      } catch {
        this.tell(this.root.dataset.gone);
        return;
      }
    }
    if (this.k !== wanted) return; // the reader is elsewhere by now
    this.shown = slice;
    this.drawn = wanted;
    this.paint();
    this.outline();
    this.root.dataset.slice = String(wanted);
    this.slices.want(wanted, this.direction);
  }

  /** Another stack was scrolled: as many millimetres here. */
  follow(leader, slices) {
    const mm = slices * leader.stack.spacing_mm;
    this.offset = (this.offset ?? this.k) + mm / this.stack.spacing_mm;
    this.show(this.offset, { lead: false });
  }

  outline() {
    const names = this.outlines[String(this.k)] || {};
    const paths = [];
    for (const [number, polygons] of Object.entries(names)) {
      const lesion = this.stack.lesions.find((each) => String(each.number) === number);
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", polygons.map((polygon) => `M${polygon.join("L")}Z`).join(""));
      path.setAttribute("stroke", lesion.colour);
      path.setAttribute("fill", lesion.colour);
      path.dataset.lesion = number;
      paths.push(path);
    }
    this.svg.replaceChildren(...paths);
  }

  async lesion(number) {
    const lesion = this.stack.lesions.find((each) => each.number === number);
    if (lesion) await this.show(lesion.largest);
  }

  async nextLesion(step) {
    const { lesions } = this.stack;
    if (!lesions.length) return;
    const here = lesions.findIndex((each) => each.largest === this.k);
    const from = here < 0 && step < 0 ? 0 : here;
    await this.lesion(lesions[(from + step + lesions.length) % lesions.length].number);
  }

  // -- what the reader sees and does -----------------------------------------------------------

  caption() {
    const { slices, spacing_mm: spacing } = this.stack;
    const words = this.root.dataset;
    const digits = this.width < 10 ? 2 : 0;
    this.part("place").textContent =
      `${this.k + 1} / ${slices}  ·  ${(this.k * spacing).toFixed(1)} mm`;
    this.part("grey").textContent =
      `${words.level} ${this.level.toFixed(digits)}  ·  ${words.width} ${this.width.toFixed(digits)}`;
    this.part("slider").setAttribute("aria-valuetext", `${this.k + 1} / ${slices}`);
  }

  tell(message) {
    this.part("message").textContent = message;
  }

  setOverlay(visible) {
    this.svg.classList.toggle("is-hidden", !visible);
    this.part("overlay").checked = visible;
  }

  setOpacity(share) {
    const kept = Math.min(1, Math.max(0, share));
    this.svg.style.opacity = String(kept);
    this.part("opacity").value = String(Math.round(100 * kept));
  }

  setFill(filled) {
    this.svg.classList.toggle("is-filled", filled);
    this.part("fill").checked = filled;
  }

  listen() {
    this.part("slider").addEventListener("input", (event) => this.show(Number(event.target.value)));
    this.part("windows").addEventListener("change", (event) => this.setWindow(event.target.value));
    this.part("overlay").addEventListener("change", (e) => this.setOverlay(e.target.checked));
    this.part("fill").addEventListener("change", (event) => this.setFill(event.target.checked));
    this.part("opacity").addEventListener("input", (event) => {
      this.setOpacity(Number(event.target.value) / 100);
    });
    const frame = this.part("frame");
    let turned = 0;
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      turned += event.deltaMode === 0 ? event.deltaY : event.deltaY * 40;
      const steps = Math.trunc(turned / 40);
      turned -= steps * 40;
      if (steps) this.show(this.k + steps);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.setPointerCapture(event.pointerId);
      frame.focus({ preventScroll: true });
      const begin = { x: event.clientX, y: event.clientY, level: this.level, width: this.width };
      const move = (moved) => {
        const right = (moved.clientX - begin.x) / FULL_DRAG;
        const down = (moved.clientY - begin.y) / FULL_DRAG;
        this.setLevelAndWidth(begin.level + down * begin.width, begin.width * 2 ** right);
      };
      const end = () => {
        frame.removeEventListener("pointermove", move);
        frame.removeEventListener("pointerup", end);
        frame.removeEventListener("pointercancel", end);
      };
      frame.addEventListener("pointermove", move);
      frame.addEventListener("pointerup", end);
      frame.addEventListener("pointercancel", end);
    });
    frame.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const names = Object.keys(this.stack.windows);
    const preset = names[Number(event.key) - 1];
    const actions = {
      ArrowDown: () => this.show(this.k + 1),
      ArrowRight: () => this.show(this.k + 1),
      ArrowUp: () => this.show(this.k - 1),
      ArrowLeft: () => this.show(this.k - 1),
      PageDown: () => this.show(this.k + 10),
      PageUp: () => this.show(this.k - 10),
      Home: () => this.show(0),
      End: () => this.show(this.stack.slices - 1),
      o: () => this.setOverlay(this.svg.classList.contains("is-hidden")),
      f: () => this.setFill(!this.svg.classList.contains("is-filled")),
      n: () => this.nextLesion(1),
      p: () => this.nextLesion(-1),
      i: () => { this.inverted = !this.inverted; this.grey(); },
      "[": () => this.setOpacity(Number(this.svg.style.opacity || 1) - 0.1),
      "]": () => this.setOpacity(Number(this.svg.style.opacity || 1) + 0.1),
    };
    const action = actions[event.key] || (preset && (() => {
      this.part("windows").value = preset;
      this.setWindow(preset);
    }));
    if (!action) return;
    event.preventDefault();
    action();
  }
}
