// Gestures in the live view: what was recognised, the movements of ten seconds, and a practice that counts.

import { $, el, text } from "./dom.js";

const SPAN_S = 10;
const ASKED = 10, EVERY_S = 6, WINDOW_S = 4;
const LINES = [
  ["yaw", "#e69f00", 30], ["pitch", "#56b4e9", 30], ["roll", "#009e73", 30],
  ["right_closed", "#cc79a7", 1], ["left_closed", "#d55e00", 1], ["mouth", "#8a9a00", 0.6],
];
const words = (name) => name.replaceAll("_", " ");

export class Gestures {
  constructor() {
    this.points = [];
    this.last = -Infinity;
    this.practice = null;
    $("practice").addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin($("practice-name").value);
    });
    $("movement-names").replaceChildren(...LINES.flatMap(([name, colour]) => {
      const mark = el("i", { class: "swatch" });
      mark.style.background = colour;
      return [mark, ` ${words(name)} `];
    }));
  }

  setNames(names) {
    $("gestures").hidden = !names.length;
    const select = $("practice-name");
    if (names.join() === [...select.options].map((option) => option.value).join()) return;
    select.replaceChildren(...names.map((name) => el("option", { value: name }, words(name))));
  }

  message(reading, face) {
    if ($("gestures").hidden) return;
    if (this.points.length && reading.t < this.points.at(-1).t) [this.points, this.last] = [[], -Infinity]; // the source began again
    this.points.push({ t: reading.t, ...(face?.seen ? face.signals : null) });
    while (reading.t - this.points[0].t > SPAN_S) this.points.shift();
    for (const one of reading.gestures) {
      if (one.t <= this.last || one.face !== face?.id) continue;
      this.last = one.t;
      text($("gesture"), `${words(one.name)} at ${new Date().toLocaleTimeString()}`);
      this.practice?.seen(one.name, reading.t);
    }
    if (this.practice) text($("practice-text"), this.practice.step(reading.t));
    this.draw(reading.t);
  }

  begin(name) {
    this.practice = new Practice(name);
    text($("practice-text"), "Sit as you will sit later, and rest.");
  }

  draw(now) {
    const canvas = $("movements"), width = (canvas.width = canvas.clientWidth), height = (canvas.height = canvas.clientHeight);
    const context = canvas.getContext("2d");
    context.strokeStyle = "#8b949e55";
    context.strokeRect(0, height / 2, width, 0);
    for (const [name, colour, full] of LINES) {
      const known = this.points.map((point) => point[name]).filter((value) => value !== undefined && value !== null).sort((a, b) => a - b);
      const rest = full === 30 ? known[Math.floor(known.length / 2)] : 0; // angles from their rest, the others from 0
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.beginPath();
      let down = false;
      for (const point of this.points) {
        const value = point[name];
        if (value === undefined || value === null) { down = false; continue; }
        const x = width * (1 - (now - point.t) / SPAN_S), y = height / 2 - ((value - rest) / full) * (height / 2 - 4);
        if (down) context.lineTo(x, y);
        else context.moveTo(x, y);
        down = true;
      }
      context.stroke();
    }
  }
}

// Asks for one gesture ASKED times, and counts how often it was seen and what came unasked. Times are those of the source.
class Practice {
  constructor(name) {
    [this.name, this.asked, this.hits, this.unasked, this.due, this.hit] = [name, 0, 0, 0, null, true];
  }

  seen(name, t) {
    const open = this.asked > 0 && t - this.due <= WINDOW_S;
    if (open && !this.hit && name === this.name) [this.hits, this.hit] = [this.hits + 1, true];
    else this.unasked += 1;
  }

  step(t) {
    this.due ??= t - EVERY_S / 2;
    if (t - this.due >= EVERY_S) {
      if (this.asked >= ASKED) return this.result();
      [this.asked, this.due, this.hit] = [this.asked + 1, t, false];
    }
    const soFar = `${this.hits} of ${this.asked} seen, ${this.unasked} unasked`;
    if (this.asked && t - this.due <= WINDOW_S) return this.hit ? `Seen. ${soFar}.` : `Now: ${words(this.name)}! (${this.asked} of ${ASKED})`;
    return `Rest. ${soFar}.`;
  }

  result() {
    const advice = this.unasked > 1
      ? `Many came unasked: try a longer hold_s = {${this.name} = …}, a lower sensitivity or wake = "look" in [gestures].`
      : this.hits < 8
        ? "Few were seen: try sensitivity = 1.4 in [gestures], more light, or another gesture."
        : "These settings suit you.";
    return `${this.hits} of ${ASKED} seen, ${this.unasked} came unasked. ${advice}`;
  }
}
