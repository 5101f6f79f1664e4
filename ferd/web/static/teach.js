// Classes of one's own: record by holding a button, train, use.

import { $, el, percent, text } from "./dom.js";
import { get, post } from "./api.js";
import { draw } from "./overlay.js";

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
      this.ask("train", { name: $("model-name").value.trim() });
    });
    $("try-model").addEventListener("click", () => this.use(this.report.name));
    $("old-model").addEventListener("click", () => this.use(this.before ?? "expression"));
    $("save-model").addEventListener("click", () => this.save());
    setInterval(() => { if (this.camera && !document.hidden) this.refresh(); }, 1000);
    for (const name of ["pointerup", "pointercancel", "blur"]) window.addEventListener(name, () => this.release());
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
    this.rows.set(label, { count, warning, hold });
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
    const cell = (tag, value) => el(tag, {}, String(value));
    $("report").replaceChildren(
      el("p", {}, `${percent(report.accuracy)} of ${report.held_out} samples that trained nothing are right.`),
      el("table", { class: "events" }, el("thead", {}, el("tr", {}, cell("th", "shown, told as"), ...report.labels.map((label) => cell("th", label)))),
        el("tbody", {}, ...report.labels.map((label, i) => el("tr", {}, cell("td", label), ...report.confusion[i].map((n) => cell("td", n)))))));
  }

  async use(model) {
    await this.tune("use", { expression: { model } }, `${model} is in use until the next reload or restart: see Live.`);
  }

  async save() {
    const body = { expression: { model: this.report.name } };
    try {
      const { diff, base, file } = await post("/api/tune/diff", body);
      if (diff && !confirm(`This changes ${file}:\n\n${diff}`)) return;
      await this.tune("save", { ...body, base }, `Written to ${file}, and in use.`);
    } catch (error) {
      text($("teach-said"), error.message);
    }
  }

  async tune(what, body, said) {
    try {
      await post(`/api/tune/${what}`, body);
      text($("teach-said"), said);
    } catch (error) {
      text($("teach-said"), error.message);
    }
  }
}
