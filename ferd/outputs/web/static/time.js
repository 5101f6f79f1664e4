// The timeline: a band for each label, then confidence, people, eyes and alerts. Gaps are striped gray.

import { $, clock, css, el, prepareCanvas } from "./dom.js";
import { get } from "./api.js";
import { colourOf, LEVELS, LEVEL_COLOURS } from "./colours.js";

const LEFT = 92, BAND = 18, LINE = 56, STEP = 30, GAP = 6;
const UNKNOWN = 255;

export class Timeline {
  constructor() {
    this.at = null;
    const canvas = $("timeline");
    canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    canvas.addEventListener("pointerleave", () => this.pointAt(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const radio of document.querySelectorAll("input[name=span]")) radio.addEventListener("change", () => this.load());
  }

  async load(camera = this.camera) {
    if (camera !== this.camera) this.data = null;
    this.camera = camera;
    if (!camera) return;
    const span = document.querySelector("input[name=span]:checked").value;
    this.data = await get(`/api/cameras/${camera}/history?span=${span}`);
    this.draw();
    this.events();
  }

  rows() {
    const labels = this.data.labels.map((label, i) => ({ name: label, height: BAND, kind: "band", label: i }));
    return [...labels, { name: "confidence", height: LINE, kind: "line", lines: [["confidence", "--text"]] },
      { name: "people", height: STEP, kind: "steps" },
      { name: "eyes closed, PERCLOS", height: LINE, kind: "line", lines: [["closed", "--strong"], ["perclos", "--bad"]] },
      { name: "alerts", height: BAND, kind: "alerts" }];
  }

  draw() {
    const canvas = $("timeline");
    if (!this.data || !canvas.clientWidth) return;
    const rows = this.rows();
    canvas.style.height = `${rows.reduce((sum, row) => sum + row.height + GAP, 24)}px`;
    const [context, width] = prepareCanvas(canvas);
    const count = this.data.frames?.length ?? 0;
    this.plot = { left: LEFT, width: width - LEFT - 4, count };
    let top = 4;
    context.font = "13px system-ui, sans-serif";
    for (const row of rows) {
      this.background(context, top, row.height);
      if (row.kind === "band") this.band(context, row, top);
      if (row.kind === "line") row.lines.forEach(([name, colour], i) => this.line(context, name, css(colour), top, row.height, i));
      if (row.kind === "steps") this.steps(context, top, row.height);
      if (row.kind === "alerts") this.alerts(context, top, row.height);
      rowName(context, row, top + row.height / 2);
      top += row.height + GAP;
    }
    this.axis(context, top);
    if (this.at !== null) {
      context.fillStyle = css("--text");
      context.fillRect(this.x(this.at), 2, 2, top - 4);
    }
  }

  x(i) {
    return this.plot.left + (i * this.plot.width) / Math.max(1, this.plot.count);
  }

  background(context, top, height) {
    context.fillStyle = css("--card");
    context.fillRect(this.plot.left, top, this.plot.width, height);
    context.fillStyle = hatched(context);
    this.runs(this.data.frames ?? [], (value) => value === 0, (from, to) => context.fillRect(this.x(from), top, this.x(to) - this.x(from), height));
  }

  band(context, row, top) {
    context.fillStyle = colourOf(row.name, row.label);
    this.runs(this.data.label, (value) => value === row.label, (from, to) => context.fillRect(this.x(from), top, Math.max(1.5, this.x(to) - this.x(from)), row.height));
  }

  line(context, name, colour, top, height, dashed) {
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.setLineDash(dashed ? [5, 3] : []);
    context.beginPath();
    let drawing = false;
    this.data[name]?.forEach((value, i) => {
      if (value === UNKNOWN || !this.data.frames[i]) { drawing = false; return; }
      const place = [this.x(i + 0.5), top + height - 2 - (value / 100) * (height - 4)];
      if (drawing) context.lineTo(...place);
      else context.moveTo(...place);
      drawing = true;
    });
    context.stroke();
    context.setLineDash([]);
  }

  steps(context, top, height) {
    const most = Math.max(1, ...(this.data.people ?? [0]));
    context.fillStyle = css("--good");
    for (let people = 1; people <= most; people++) {
      this.runs(this.data.people ?? [], (value) => value === people, (from, to) => {
        const tall = (height * people) / most;
        context.fillRect(this.x(from), top + height - tall, this.x(to) - this.x(from), tall);
      });
    }
  }

  alerts(context, top, height) {
    LEVELS.forEach((_, level) => {
      if (!level) return;
      context.fillStyle = LEVEL_COLOURS[level];
      const tall = (height * (level + 1)) / 4; // higher is worse: not shown by colour alone
      this.runs(this.data.level ?? [], (value) => value === level, (from, to) => context.fillRect(this.x(from), top + height - tall, Math.max(1.5, this.x(to) - this.x(from)), tall));
    });
  }

  axis(context, top) {
    context.fillStyle = css("--quiet");
    const marks = Math.max(2, Math.min(6, Math.floor(this.plot.width / 90)));
    for (let mark = 0; mark <= marks; mark++) {
      const i = (this.plot.count * mark) / marks;
      const words = clock(this.wall(i), false);
      const wide = context.measureText(words).width;
      context.fillText(words, Math.min(this.x(i) - (mark ? wide / 2 : 0), this.plot.left + this.plot.width - wide), top + 12);
    }
  }

  runs(values, wanted, found) {
    let from = -1;
    for (let i = 0; i <= values.length; i++) {
      const is = i < values.length && wanted(values[i]);
      if (is && from < 0) from = i;
      if (!is && from >= 0) { found(from, i); from = -1; }
    }
  }

  wall(i) {
    return this.data.until - (this.plot.count - i) * this.data.width_s;
  }

  point(offset) {
    if (!this.plot?.count) return;
    const i = Math.floor(((offset - this.plot.left) * this.plot.count) / this.plot.width);
    this.pointAt(i >= 0 && i < this.plot.count ? i : null);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -1e6, End: 1e6 };
    if (!(event.key in steps) || !this.plot?.count) return;
    event.preventDefault();
    const from = this.at ?? this.plot.count - 1;
    this.pointAt(Math.max(0, Math.min(this.plot.count - 1, from + steps[event.key])));
  }

  pointAt(i) {
    this.at = i;
    $("moment").textContent = i === null ? "\u00a0" : this.words(i);
    this.draw();
  }

  words(i) {
    const d = this.data, when = clock(this.wall(i));
    if (!d.frames[i]) return `${when}: no frames`;
    const part = (name, value) => (value === UNKNOWN ? [] : [`${name} ${value} %`]);
    return [`${when}: ${d.label[i] === UNKNOWN ? "no expression" : d.labels[d.label[i]]}`, ...part("confidence", d.confidence[i]),
      `${d.people[i]} ${d.people[i] === 1 ? "person" : "people"}`, ...part("eyes closed", d.closed[i]), ...part("PERCLOS", d.perclos[i]),
      ...part("awareness", d.awareness[i]), ...(d.level[i] ? [`alert: ${LEVELS[d.level[i]]}`] : [])].join(", ");
  }

  events() {
    const rows = (this.data.events ?? []).slice(-40).reverse().map((event) => el("tr", {}, el("td", {}, clock(event.told_at)), el("td", {}, describe(event))));
    $("events").replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: "2" }, "No events yet."))]));
  }
}

const after = (event) => (event.held_s === undefined || event.held_s === null ? "" : ` after ${event.held_s} s`);
const plain = (word) => String(word).replaceAll("_", " ");
const SENTENCES = {
  expression_changed: (event) => `${event.from ?? "unsure"} → ${event.to ?? "unsure"}`,
  face_appeared: (event) => `face #${event.track} appeared`,
  face_left: (event) => `face #${event.track} left${after(event)}`,
  gesture: (event) => `${plain(event.gesture)} by face #${event.track}`,
  alert_began: (event) => `alert ${event.name} started: ${event.level}, ${plain(event.reason)}`,
  alert_ended: (event) => `alert ${event.name} ended${after(event)}: ${event.level}, ${plain(event.reason)}${event.cause ? ` (${plain(event.cause)})` : ""}`,
};

function describe(event) {
  if (event.event_type in SENTENCES) return SENTENCES[event.event_type](event);
  const rest = Object.entries(event).filter(([key, value]) => !["v", "event_type", "at", "told_at", "camera", "node", "id", "seq", "held_s"].includes(key) && value !== null && typeof value !== "object");
  return `${plain(event.event_type)}${after(event)}${rest.length ? `: ${rest.map(([key, value]) => `${plain(key)} ${plain(value)}`).join(", ")}` : ""}`;
}

// Draws the name of a row. A row with two lines has two names, each in the colour of its line; dashes mark the dashed one.
function rowName(context, row, middle) {
  const parts = row.name.split(", ");
  parts.forEach((part, i) => {
    const y = middle + 4 + (i - (parts.length - 1) / 2) * 18;
    context.fillStyle = css(parts.length > 1 ? row.lines[i][1] : "--text");
    context.fillText(part, 0, y);
    if (parts.length === 1) return;
    context.strokeStyle = context.fillStyle;
    context.setLineDash(i ? [5, 3] : []);
    context.beginPath();
    context.moveTo(0, y + 4);
    context.lineTo(context.measureText(part).width, y + 4);
    context.stroke();
    context.setLineDash([]);
  });
}

// Gray with stripes: a gap differs from a gray band by more than its shade.
function hatched(context) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const tileContext = tile.getContext("2d");
  tileContext.fillStyle = css("--gap");
  tileContext.fillRect(0, 0, 8, 8);
  tileContext.strokeStyle = css("--back");
  tileContext.lineWidth = 1.5;
  for (const shift of [-8, 0, 8]) {
    tileContext.moveTo(shift, 8);
    tileContext.lineTo(shift + 8, 0);
  }
  tileContext.stroke();
  return context.createPattern(tile, "repeat");
}
