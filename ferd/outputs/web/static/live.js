// The live view: picture, bars, explanation, eyes and mouth.

import { $, el, facts, percent, text } from "./dom.js";
import { colourOf } from "./colours.js";
import { draw } from "./overlay.js";

export class Live {
  constructor() {
    this.labels = [];
    this.rows = new Map();
    this.describedAt = 0;
    this.times = [];
  }

  setLabels(labels) {
    if (labels.join() === this.labels.join()) return;
    this.labels = labels;
    this.rows.clear();
    $("bars").replaceChildren(...labels.map((label, i) => this.row(label, i)));
  }

  row(label, i) {
    const bar = el("i"), now = el("b"), threshold = el("u"), number = el("td", {}, "–"), plain = el("td", { class: "quiet" }, "–");
    bar.style.background = colourOf(label, i);
    const row = el("tr", {}, el("th", { scope: "row" }, label), el("td", {}, el("div", { class: "bar" }, bar, now, threshold)), number, plain);
    this.rows.set(label, { row, bar, now, threshold, number, plain });
    return row;
  }

  cover(words) {
    $("cover").hidden = !words;
    text($("cover"), words ?? "");
    if (words) this.clear();
  }

  clear() {
    this.show(null, null, null);
    text($("alerts"), "");
    text($("pace"), "");
  }

  message(reading, bitmap, sendsPicture) {
    this.cover(null);
    const face = this.choose(reading);
    draw($("picture"), reading, bitmap, this.labels, face?.id);
    bitmap?.close();
    this.show(face, reading.fatigue, reading.faces.length);
    this.alerts(reading.alerts);
    this.pace(reading, sendsPicture);
    this.describe(reading, face);
  }

  choose(reading) {
    const select = $("face"), ids = reading.faces.map((face) => String(face.id));
    const options = [...select.options].slice(1).map((option) => option.value);
    if (ids.join() !== options.join() && document.activeElement !== select) {
      const before = select.value;
      select.replaceChildren(select.options[0], ...ids.map((id) => el("option", { value: id }, `#${id}`)));
      select.value = ids.includes(before) ? before : "main";
    }
    const wanted = select.value === "main" ? reading.main : Number(select.value);
    return reading.faces.find((face) => face.id === wanted);
  }

  // `count`: faces in the frame, null without a frame.
  show(face, fatigue, count) {
    text($("label"), face ? (face.label ?? "unsure") : count === null ? "–" : count ? "no main face yet" : "no face");
    text($("label-since"), face ? `#${face.id}, ${percent(face.confidence)} sure, for ${face.held_s.toFixed(0)} s` : "\u00a0");
    for (const [label, { row, bar, now, threshold, number, plain }] of this.rows) {
      const smooth = face?.smooth[label], score = face?.scores[label];
      row.classList.toggle("held", face?.label === label);
      bar.style.width = `${100 * (smooth ?? 0)}%`;
      now.hidden = score === undefined;
      now.style.left = `calc(${100 * (score ?? 0)}% - 1px)`;
      threshold.hidden = !face || face.why.lead !== label;
      threshold.style.left = `${100 * Math.min(1, face?.why.needs ?? 0)}%`;
      text(number, percent(smooth));
      text(plain, percent(score));
    }
    text($("why"), face ? face.why.text : WITHOUT(count));
    const quality = face?.quality;
    $("hints").replaceChildren(...(quality?.hints ?? []).map((hint) => el("li", {}, hint)));
    facts($("quality"), quality ? [
      ["light", `${quality.light.toFixed(0)} of 255`], ["sharpness", quality.sharpness.toFixed(0)],
      ["size", `${quality.size.toFixed(0)} pixels wide`], ["detector", percent(face.found)], ["tracked for", `${face.for_s.toFixed(0)} s`],
    ] : []);
    const signals = face?.signals;
    facts($("signals"), [
      ["eyes closed", signals ? seen(signals.eyes_closed) : !face ? null : fatigue ? "not visible" : "not measured: [fatigue] is off"],
      ["mouth open", signals ? seen(signals.mouth_open) : null],
      ["awareness", fatigue ? percent(fatigue.awareness) : null],
      ["PERCLOS", fatigue ? percent(fatigue.perclos) : null],
      ["blinks per minute", fatigue?.blinks?.toFixed(0)],
      ["yawns in 5 minutes", fatigue?.yawns],
      ["nods in 5 minutes", fatigue?.nods],
      ["attention", fatigue ? percent(fatigue.attention) : null],
      ["closed eyes would be noticed", fatigue ? (fatigue.unjudged ? `no: ${fatigue.unjudged.replaceAll("_", " ")}` : "yes") : null],
      ["head, degrees", signals && signals.yaw !== null ? `yaw ${signals.yaw.toFixed(0)}, pitch ${signals.pitch.toFixed(0)}, roll ${signals.roll.toFixed(0)}` : null],
    ]);
  }

  alerts(alerts) {
    const words = alerts.map((alert) => `${alert.level}: ${alert.name} (${alert.reason.replaceAll("_", " ")})${alert.buzzer ? ", buzzer on" : ""}`);
    const node = $("alerts");
    if (node.textContent !== words.join(" · ")) node.replaceChildren(...(words.length ? [el("strong", {}, words.join(" · "))] : []));
  }

  pace(reading, sendsPicture) {
    const now = performance.now();
    this.times = [...this.times.filter((t) => now - t < 3000), now];
    if (this.times.length < 3) return;
    const rate = ((this.times.length - 1) * 1000) / (now - this.times[0]);
    const age = Date.now() / 1000 - reading.wall; // correct where the clocks agree, as on the machine that runs ferd
    const late = age >= 0 && age < 5 ? `, ${Math.round(age * 1000 + 0)} ms old` : "";
    text($("pace"), `${rate.toFixed(0)} ${sendsPicture ? "picture" : "reading"}${rate.toFixed(0) === "1" ? "" : "s"} per second${late}`);
  }

  describe(reading, face) {
    const now = performance.now();
    if (now - this.describedAt < 2000) return;
    this.describedAt = now;
    const count = reading.faces.length;
    const words = `The camera's picture: ${count === 1 ? "one face" : `${count} faces`}${face ? `, ${face.label ?? "unsure"}` : ""}`;
    if ($("picture").getAttribute("aria-label") !== words) $("picture").setAttribute("aria-label", words);
  }
}

const WITHOUT = (count) => (count === null ? "There is no frame." : count ? "No face has been visible for long enough to be the main one." : "There is no face.");
const seen = (value) => (value === null ? "not visible" : percent(value));
