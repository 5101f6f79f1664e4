// Classes of one's own: record by holding a button, train, use.

import { $, el, percent, text } from "./dom.js";
import { get, post } from "./api.js";
import { draw } from "./overlay.js";
import { Saving } from "./save.js";

const WORDS = {
  classes: "Hold a class's button and show the face, moving a little. Pictures are looked at and forgotten; rows of numbers stay.",
  adapt: "If ferd reads your resting face as sad or angry: hold each button for half a minute and show that face, moving a little. ferd's labels stay; it learns by how much your face differs, on these two alone.",
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
      this.ask("train", { name: $("model-name").value.trim(), adapt: this.lesson === "adapt" });
    });
    for (const radio of document.querySelectorAll("input[name=lesson]")) radio.addEventListener("change", () => this.turnTo(radio.value));
    this.saving = new Saving($("model-saving"), {
      changes: () => ({ expression: { model: this.report.name } }),
      said: (words) => text($("teach-said"), words),
      done: (words) => text($("teach-said"), words),
    });
    $("try-model").addEventListener("click", () => this.use(this.report.name));
    $("old-model").addEventListener("click", () => this.use(this.before ?? "expression"));
    $("save-model").addEventListener("click", () => this.saving.show());
    setInterval(() => { if (this.camera && !document.hidden) this.refresh(); }, 1000);
    for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, () => this.release());
  }

  turnTo(lesson) {
    this.lesson = lesson;
    text($("lesson-words"), WORDS[lesson]);
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
      await this.ask("forget", { label }); // of a class without a sample the server knows nothing
      text($("teach-said"), "");
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
    const again = () => this.ask("record", { camera: this.camera, label });
    again();
    this.held = { button, timer: setInterval(again, 700) };
  }

  release() {
    if (!this.held) return;
    clearInterval(this.held.timer);
    this.held.button.classList.remove("holding");
    this.held.button.setAttribute("aria-pressed", "false");
    this.held = null;
    this.ask("pause", {});
  }

  async ask(what, body) {
    try {
      this.show(await post(`/api/teach/${what}`, body));
    } catch (error) {
      text($("teach-said"), error.message);
    }
  }

  async refresh() {
    try {
      this.show(await get("/api/teach"));
    } catch { /* the head says it */ }
  }

  show(status) {
    if (status.model && status.model !== this.report?.name) this.before = status.model;
    this.adapts = status.adapts;
    if (!this.lesson) this.turnTo("classes");
    for (const one of status.classes) {
      const { count, warning } = this.row(one.label);
      text(count, ` ${one.samples} samples`);
      text(warning, one.warnings.join("; "));
    }
    const { state, done, error } = status.job;
    $("training").hidden = state !== "training";
    $("training").value = done;
    if (state === "failed") text($("teach-said"), error);
    else if (status.recording) text($("teach-said"), status.last === "good" ? `recording ${status.recording}` : `passed over: ${status.last ?? "no picture"}`);
    else if (state === "training") text($("teach-said"), "training …");
    else if ($("teach-said").textContent.startsWith("recording") || $("teach-said").textContent.startsWith("training")) text($("teach-said"), "");
    if (status.report && JSON.stringify(status.report) !== JSON.stringify(this.report)) this.tell(status.report);
  }

  tell(report) {
    this.report = report;
    $("taught").hidden = false;
    this.saving.hide();
    $("report").replaceChildren(...("shift" in report ? corrected(report) : taught(report)));
  }

  async use(model) {
    try {
      await post("/api/tune/use", { expression: { model } });
      text($("teach-said"), `${model} is in use until the next reload or restart: see Live.`);
    } catch (error) {
      text($("teach-said"), error.message);
    }
  }
}

function taught(report) {
  const cell = (tag, value, more = {}) => el(tag, more, String(value));
  return [
    el("p", {}, `${percent(report.accuracy)} of ${report.held_out} samples that trained nothing are right.`),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Shown, and told as" }, el("table", { class: "events" },
      el("thead", {}, el("tr", {}, cell("th", "shown, told as", { scope: "col" }), ...report.labels.map((label) => cell("th", label, { scope: "col" })))),
      el("tbody", {}, ...report.labels.map((label, i) => el("tr", {}, cell("th", label, { scope: "row" }), ...report.confusion[i].map((n) => cell("td", n))))))),
  ];
}

function corrected(report) {
  const moved = Object.entries(report.shift).filter(([, by]) => Math.abs(by) >= 0.05);
  const words = moved.map(([label, by]) => `${label} ${by > 0 ? "more" : "less"} readily (${by > 0 ? "+" : "−"}${Math.abs(by).toFixed(2)})`);
  return [
    el("p", {}, `Of ${report.held_out} samples that it did not learn from, ${percent(report.before)} were right before, ${percent(report.after)} are now.`),
    el("p", {}, moved.length ? `It now tells ${words.join(", ")}.` : "Nothing had to be changed: it reads you well already."),
  ];
}
