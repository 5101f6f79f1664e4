// Gestures in the live view: what was recognised, the movements of ten seconds with their thresholds, and a practice
// from which a threshold is made for the person before this camera.

import { $, css, el, prepareCanvas, text } from "./dom.js";
import { post } from "./api.js";
import { ASKED, Practice } from "./practice.js";

const SPAN_S = 10;
// Name, colour, full scale, and the gestures whose thresholds belong to it: with the share of the threshold (a nod of 7
// degrees swings 3.5 to each side of the rest) and its direction.
const LINES = [
  ["yaw", "#e69f00", 30, [["shake", 0.5], ["shake", -0.5]]], ["pitch", "#56b4e9", 30, [["nod", 0.5], ["nod", -0.5]]],
  ["roll", "#009e73", 30, [["tilt_left", 1], ["tilt_right", -1]]], ["right_closed", "#cc79a7", 1, [["wink_right", 1]]],
  ["left_closed", "#d55e00", 1, [["wink_left", 1]]], ["mouth", "#8a9a00", 0.6, [["mouth_open", 1]]],
];
const words = (name) => name.replaceAll("_", " ");

export class Gestures {
  constructor() {
    Object.assign(this, { points: [], last: -Infinity, practice: null, result: null, names: [], tuned: {}, thresholds: {} });
    $("practice").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin();
    });
    $("practice-name").addEventListener("change", () => this.drop());
    $("practice-save").addEventListener("click", () => this.use({ ...this.tuned, [this.result.name]: this.result.threshold }, "Saved for this camera, and in use."));
    $("practice-reset").addEventListener("click", () => this.use({}, "The defaults are in use again, for all gestures."));
    $("movement-names").replaceChildren(...LINES.flatMap(([name, colour]) => {
      const mark = el("i", { class: "swatch" });
      mark.style.background = colour;
      return [mark, ` ${words(name)} `];
    }), "· dashed: threshold");
  }

  // The state of ferd, and of the camera that is shown.
  setState(state, camera) {
    if (this.camera !== camera.name) this.drop();
    Object.assign(this, { camera: camera.name, tuned: camera.tuned_gestures, thresholds: state.thresholds });
    const names = state.gestures, select = $("practice-name");
    $("gestures").hidden = !names.length;
    $("practice-reset").hidden = !Object.keys(this.tuned).length;
    this.describe();
    if (names.join() === [...select.options].map((option) => option.value).join()) return;
    select.replaceChildren(...names.map((name) => el("option", { value: name }, words(name))));
  }

  get name() {
    return $("practice-name").value;
  }

  // The threshold of a gesture that is in use; undefined where it has none of its own.
  threshold(name) {
    return this.tuned[name] ?? this.thresholds[name]?.[0];
  }

  describe() {
    const value = this.threshold(this.name), usual = this.thresholds[this.name]?.[0];
    const others = Object.keys(this.tuned).filter((name) => name !== this.name).map(words);
    const own = value === undefined ? "It has the threshold of long blink." : this.tuned[this.name] === undefined
      ? `Threshold in use: ${value}, the default.` : `Threshold in use: ${value}, tuned for this camera (default ${usual}).`;
    text($("strength-text"), `${own}${others.length ? ` Also tuned: ${others.join(", ")}.` : ""}`);
  }

  message(reading, face) {
    if ($("gestures").hidden) return;
    if (this.points.length && reading.t < this.points.at(-1).t) [this.points, this.last] = [[], -Infinity]; // the source began again
    const strength = face?.seen ? face.strengths[this.name] : undefined;
    this.points.push({ t: reading.t, strength, ...(face?.seen ? face.signals : null) });
    while (reading.t - this.points[0].t > SPAN_S) this.points.shift();
    this.practice?.measure(reading.t, strength);
    for (const one of reading.gestures) {
      if (one.t <= this.last || one.face !== face?.id) continue;
      this.last = one.t;
      text($("gesture"), `${words(one.name)} at ${new Date().toLocaleTimeString()}`);
      this.practice?.seen(one.name, reading.t);
    }
    if (this.practice) {
      text($("practice-text"), this.practice.step(reading.t));
      if (this.practice.isOver) this.finish();
    }
    this.draw(reading.t);
  }

  begin() {
    this.drop();
    this.practice = new Practice(this.name, this.thresholds[this.name]?.[1] ?? 0);
    text($("practice-text"), "Sit as you will sit later, and rest.");
  }

  // Forgets a practice and its result.
  drop() {
    [this.practice, this.result] = [null, null];
    $("practice-save").hidden = true;
    text($("practice-text"), "");
    this.describe();
  }

  async finish() {
    const { name, hits, unasked, peaks, rest } = this.practice;
    this.practice = null;
    const counted = `${hits} of ${ASKED} seen, ${unasked} came unasked.`;
    text($("practice-text"), counted);
    if (!this.thresholds[name]) return;
    try {
      const { threshold, seen, problem } = await post(`/api/cameras/${this.camera}/gestures/practice`, { gesture: name, peaks, unasked: rest });
      this.result = { name, threshold };
      $("practice-save").hidden = threshold === null;
      text($("practice-text"), threshold === null ? `${counted} No threshold fits: ${problem}.`
        : `${counted} With a threshold of ${threshold} (in use: ${this.threshold(name)}) it would be ${seen} of ${ASKED}. Save it for this camera?`);
    } catch (error) {
      text($("practice-text"), `${counted} ${error.message}`);
    }
  }

  async use(thresholds, done) {
    try {
      await post(`/api/cameras/${this.camera}/gestures`, { thresholds });
      this.drop();
      this.tuned = thresholds;
      this.describe();
      $("practice-reset").hidden = !Object.keys(thresholds).length;
      text($("practice-text"), done);
    } catch (error) {
      text($("practice-text"), error.message);
    }
  }

  draw(now) {
    this.drawMovements(now);
    this.drawStrength(now);
  }

  drawMovements(now) {
    const [context, width, height] = prepareCanvas($("movements"));
    const middle = height / 2;
    line(context, width, middle, css("--line"), []);
    for (const [name, colour, full, marks] of LINES) {
      const known = this.points.map((point) => point[name]).filter((value) => value !== undefined && value !== null).sort((a, b) => a - b);
      const rest = full === 30 ? (known[Math.floor(known.length / 2)] ?? 0) : 0; // angles from their rest, the others from 0
      const y = (value) => middle - (value / full) * (middle - 4);
      for (const [gesture, share] of marks) {
        const threshold = this.threshold(gesture);
        if (threshold !== undefined) line(context, width, y(share * threshold), colour, [4, 4]);
      }
      curve(context, this.points, (point) => point[name], (t) => width * (1 - (now - t) / SPAN_S), (value) => y(value - rest), colour);
    }
  }

  drawStrength(now) {
    const [context, width, height] = prepareCanvas($("strength"));
    const threshold = this.threshold(this.name), [usual, zero] = this.thresholds[this.name] ?? [1, 0];
    if (threshold === undefined) return;
    const full = 2 * (Math.max(threshold, usual) - zero);
    const y = (value) => height - 4 - Math.min(1, Math.max(0, (value - zero) / full)) * (height - 8);
    if (threshold !== usual) line(context, width, y(usual), css("--quiet"), [2, 5]);
    line(context, width, y(threshold), css("--bad"), [6, 4]);
    curve(context, this.points, (point) => point.strength, (t) => width * (1 - (now - t) / SPAN_S), y, css("--strong"));
    context.fillStyle = css("--text");
    context.font = "12px system-ui, sans-serif";
    const [above, below] = [y(threshold) - 4, y(usual) + 13];
    context.fillText(`threshold ${threshold}`, 4, above);
    if (threshold !== usual) context.fillText(`default ${usual}`, width - 90, below);
  }
}

function line(context, width, y, colour, dash) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(0, y);
  context.lineTo(width, y);
  context.stroke();
  context.setLineDash([]);
}

function curve(context, points, valueOf, x, y, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  let down = false;
  for (const point of points) {
    const value = valueOf(point);
    if (value === undefined || value === null) { down = false; continue; }
    if (down) context.lineTo(x(point.t), y(value));
    else context.moveTo(x(point.t), y(value));
    down = true;
  }
  context.stroke();
}
