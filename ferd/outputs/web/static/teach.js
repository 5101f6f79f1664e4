// Training: record classes by holding a button, train, use the model.

import { $, el, percent, text } from "./dom.js";
import { get, post } from "./api.js";
import { draw } from "./overlay.js";
import { Saving } from "./save.js";

const INSTRUCTIONS = {
  classes: "Hold the button of a class and show that face, moving a little. Pictures are turned into numbers at once and are not kept.",
  adapt: "Use this if ferd reads your resting face as sad or angry. Hold each button for half a minute and show that face, moving a little. The labels stay; ferd learns how your face differs from others.",
};

export class Teach {
  constructor() {
    this.rows = new Map();
    $("new-class").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = $("class-name").value.trim();
      if (name) this.row(name);
      $("class-name").value = "";
    });
    $("train").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send("train", { name: $("model-name").value.trim(), adapt: this.lesson === "adapt" });
    });
    for (const radio of document.querySelectorAll("input[name=lesson]")) radio.addEventListener("change", () => this.select(radio.value));
    this.saving = new Saving($("model-saving"), {
      changes: () => ({ expression: { model: this.report.name } }),
      status: (words) => text($("teach-status"), words),
      done: (words) => text($("teach-status"), words),
    });
    $("try-model").addEventListener("click", () => this.use(this.report.name));
    $("old-model").addEventListener("click", () => this.use(this.before ?? "expression"));
    $("save-model").addEventListener("click", () => this.saving.show());
    setInterval(() => { if (this.camera && !document.hidden) this.refresh(); }, 1000);
    for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, () => this.release());
  }

  select(lesson) {
    this.lesson = lesson;
    text($("lesson-instructions"), INSTRUCTIONS[lesson]);
    text($("train-button"), lesson === "adapt" ? "Correct" : "Train");
    $("new-class").hidden = lesson === "adapt";
    if (lesson === "adapt") for (const label of this.adapts ?? []) this.row(label);
    for (const [label, { item }] of this.rows) item.hidden = lesson === "adapt" && !this.adapts.includes(label);
  }

  load(camera) {
    this.camera = camera;
    if (camera) this.refresh();
  }

  message(reading, bitmap, labels) {
    draw($("teach-picture"), reading, bitmap, labels, reading.main);
    bitmap?.close();
  }

  row(label) {
    if (this.rows.has(label)) return this.rows.get(label);
    const hold = el("button", { type: "button", class: "hold", "aria-pressed": "false" }, `Hold: ${label}`);
    const count = el("span", {}, " 0 samples"), warning = el("div", { class: "quiet" });
    const drop = el("button", { type: "button", class: "plain", "aria-label": `Forget ${label}` }, "Forget");
    const item = el("li", {}, hold, " ", count, " ", drop, warning);
    hold.addEventListener("pointerdown", () => this.press(label, hold));
    hold.addEventListener("keydown", (event) => {
      if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); if (!event.repeat) this.press(label, hold); }
    });
    hold.addEventListener("keyup", () => this.release());
    hold.addEventListener("contextmenu", (event) => event.preventDefault());
    drop.addEventListener("click", async () => {
      await this.send("forget", { label }); // the server does not know a class without samples
      text($("teach-status"), "");
      item.remove();
      this.rows.delete(label);
    });
    $("classes").append(item);
    this.rows.set(label, { item, count, warning, hold });
    return this.rows.get(label);
  }

  press(label, button) {
    this.release();
    button.classList.add("holding");
    button.setAttribute("aria-pressed", "true");
    const record = () => this.send("record", { camera: this.camera, label });
    record();
    this.held = { button, timer: setInterval(record, 700) };
  }

  release() {
    if (!this.held) return;
    clearInterval(this.held.timer);
    this.held.button.classList.remove("holding");
    this.held.button.setAttribute("aria-pressed", "false");
    this.held = null;
    this.send("pause", {});
  }

  async send(what, body) {
    try {
      this.show(await post(`/api/teach/${what}`, body));
    } catch (error) {
      text($("teach-status"), error.message);
    }
  }

  async refresh() {
    try {
      this.show(await get("/api/teach"));
    } catch { /* the header shows the error */ }
  }

  show(status) {
    if (status.model && status.model !== this.report?.name) this.before = status.model;
    this.adapts = status.adapts;
    if (!this.lesson) this.select("classes");
    for (const one of status.classes) {
      const { count, warning } = this.row(one.label);
      text(count, ` ${one.samples} samples`);
      text(warning, one.warnings.join("; "));
    }
    const { state, done, error } = status.job;
    $("training").hidden = state !== "training";
    $("training").value = done;
    if (state === "failed") text($("teach-status"), error);
    else if (status.recording) text($("teach-status"), status.last === "good" ? `recording ${status.recording}` : `skipped: ${status.last ?? "no picture"}`);
    else if (state === "training") text($("teach-status"), "training …");
    else if ($("teach-status").textContent.startsWith("recording") || $("teach-status").textContent.startsWith("training")) text($("teach-status"), "");
    if (status.report && JSON.stringify(status.report) !== JSON.stringify(this.report)) this.showReport(status.report);
  }

  showReport(report) {
    this.report = report;
    $("taught").hidden = false;
    this.saving.hide();
    $("report").replaceChildren(...("shift" in report ? adaptReport(report) : trainReport(report)));
  }

  async use(model) {
    try {
      await post("/api/tune/use", { expression: { model } });
      text($("teach-status"), `${model} is in use until the next reload or restart. See Live.`);
    } catch (error) {
      text($("teach-status"), error.message);
    }
  }
}

function trainReport(report) {
  const cell = (tag, value, more = {}) => el(tag, more, String(value));
  return [
    el("p", {}, `${percent(report.accuracy)} of the ${report.held_out} samples that were held back are classified correctly.`),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, el("table", { class: "events" },
      el("thead", {}, el("tr", {}, cell("th", "shown, predicted", { scope: "col" }), ...report.labels.map((label) => cell("th", label, { scope: "col" })))),
      el("tbody", {}, ...report.labels.map((label, i) => el("tr", {}, cell("th", label, { scope: "row" }), ...report.confusion[i].map((n) => cell("td", n))))))),
  ];
}

function adaptReport(report) {
  const changed = Object.entries(report.shift).filter(([, by]) => Math.abs(by) >= 0.05);
  const words = changed.map(([label, by]) => `${label} ${by > 0 ? "more" : "less"} often (${by > 0 ? "+" : "−"}${Math.abs(by).toFixed(2)})`);
  return [
    el("p", {}, `Of the ${report.held_out} samples that were held back, ${percent(report.before)} were right before the correction and ${percent(report.after)} are right now.`),
    el("p", {}, changed.length ? `The model now predicts ${words.join(", ")}.` : "No change was needed: the model already reads your face correctly."),
  ];
}
