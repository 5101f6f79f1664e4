// Sliders whose settings are tried on the last minutes and compared with what was published.

import { $, css, el, prepareCanvas } from "./dom.js";
import { get, post } from "./api.js";
import { Saving } from "./save.js";
import { colourOf, LEVEL_COLOURS } from "./colours.js";

const UNKNOWN = 255;
const SLIDERS = {
  smoothing: [
    ["time_constant_s", "time constant (seconds)", 0, 2, 0.05], ["on_threshold", "publish from", 0, 1, 0.01], ["off_threshold", "drop below", 0, 1, 0.01],
    ["switch_ratio", "evidence when this many times as likely", 1, 10, 0.05], ["caution", "more evidence while somebody talks", 0, 4, 0.1], ["min_hold_s", "must stay the most likely for (seconds)", 0, 3, 0.05],
  ],
  fatigue: [
    ["eyes_closed_notice_s", "eyes closed: notice (seconds)", 0.75, 6, 0.05], ["eyes_closed_warning_s", "eyes closed: warning (seconds)", 0.75, 8, 0.05],
    ["eyes_closed_alarm_s", "eyes closed: alarm (seconds)", 0.75, 10, 0.05], ["perclos_notice", "PERCLOS: notice", 0.01, 1, 0.01],
    ["perclos_warning", "PERCLOS: warning", 0.01, 1, 0.01], ["unseen_after_s", "eyes not visible: notice (seconds)", 0, 60, 1],
  ],
};

export class Tune {
  constructor() {
    this.replay = this.replay.bind(this);
    this.saving = new Saving($("saving"), {
      changes: () => this.changes(this.settings.saved),
      status: (words) => { $("tune-status").textContent = words; },
      done: (words) => this.reload(words),
    });
    $("use").addEventListener("click", () => this.use());
    $("diff").addEventListener("click", () => this.saving.show());
    $("reset").addEventListener("click", () => this.load());
    $("sliders").addEventListener("submit", (event) => event.preventDefault());
  }

  async load(camera = this.camera) {
    this.camera = camera;
    this.settings = await get("/api/tune");
    this.values = structuredClone(this.settings);
    this.saving.hide();
    $("tune-status").textContent = "";
    $("diff").disabled = !this.settings.file;
    $("diff").title = this.settings.file ?? "ferd runs without a configuration file";
    const groups = [this.group("Smoothing", "smoothing", this.values.smoothing)];
    if (this.values.fatigue.enabled) groups.push(this.group("Fatigue", "fatigue", this.values.fatigue));
    for (const alert of this.values.alerts) groups.push(this.alert(alert));
    $("sliders").replaceChildren(...groups);
    if (!this.result) $("compare-text").textContent = "Replaying the last minutes …";
    await this.replay();
  }

  group(title, section, values) {
    return el("fieldset", { class: "group" }, el("legend", {}, title),
      ...SLIDERS[section].map(([key, words, low, high, step]) => this.slider(values, this.settings[section], key, words, low, high, step)));
  }

  alert(alert) {
    const before = this.settings.alerts.find((other) => other.name === alert.name);
    const sliders = [["above", "above", 0, 1, 0.01], ["below", "below", 0, 1, 0.01], ["for_s", "for (seconds)", 0, 60, 0.5]];
    return el("fieldset", { class: "group" }, el("legend", {}, `Alert: ${alert.name}`),
      ...sliders.filter(([key]) => alert[key] !== null).map(([key, ...rest]) => this.slider(alert, before, key, ...rest)));
  }

  slider(values, before, key, words, low, high, step) {
    const input = el("input", { type: "range", min: low, max: Math.max(high, values[key]), step, value: values[key], name: key });
    const shown = el("output", {}, String(values[key]));
    const label = el("label", { class: "slider" }, el("span", {}, words), shown, input);
    input.addEventListener("input", () => {
      values[key] = Number(input.value);
      shown.textContent = input.value;
      label.classList.toggle("changed", values[key] !== before[key]);
      this.saving.hide();
      clearTimeout(this.timer);
      this.timer = setTimeout(this.replay, 250);
    });
    return label;
  }

  // The settings that differ from `base`: those in force, or those in the file.
  changes(base = this.settings) {
    const differing = (now, before) => Object.fromEntries(Object.entries(now).filter(([key, value]) => value !== before[key]));
    const alerts = this.values.alerts.map((alert) => ({ ...differing(alert, base.alerts.find((other) => other.name === alert.name) ?? alert), name: alert.name }));
    return { smoothing: differing(this.values.smoothing, base.smoothing), fatigue: differing(this.values.fatigue, base.fatigue),
      alerts: alerts.filter((alert) => Object.keys(alert).length > 1) };
  }

  async replay() {
    if (!this.camera) return;
    try {
      this.result = await post(`/api/cameras/${this.camera}/replay`, this.changes());
      this.draw();
    } catch (error) {
      $("compare-text").textContent = error.message;
    }
  }

  draw() {
    const { told: published, would: replayed, labels, width_s: width } = this.result;
    const [context, wide, tall] = prepareCanvas($("compare"));
    if (!published.label.length) $("compare-text").textContent = "There is no recording yet to try the settings on.";
    if (!wide || !published.label.length) return;
    const left = 92, count = Math.max(1, published.label.length), across = wide - left;
    const x = (i) => left + (i * across) / count;
    context.font = "13px system-ui, sans-serif";
    const rows = labels.length + 1, room = (tall - 18) / rows, half = (room - 6) / 2;
    [...labels, "alerts"].forEach((name, r) => {
      const top = r * room;
      context.fillStyle = css("--card");
      context.fillRect(left, top, across, room - 4);
      context.fillStyle = css("--text");
      context.fillText(name, 0, top + room / 2 + 2);
      [published, replayed].forEach((strip, which) => {
        const isAlert = r === labels.length;
        context.globalAlpha = which ? 1 : 0.5;
        for (let i = 0; i < count; i++) {
          if (isAlert ? !strip.level[i] : strip.label[i] !== r) continue;
          context.fillStyle = isAlert ? LEVEL_COLOURS[strip.level[i]] : colourOf(name, r);
          const from = Math.floor(x(i)); // whole pixels: no seams between neighbours
          context.fillRect(from, top + which * (half + 1), Math.max(1, Math.floor(x(i + 1)) - from), half);
        }
        context.globalAlpha = 1;
      });
    });
    context.fillStyle = css("--quiet");
    context.fillText(`${(count * width).toFixed(0)} s ago`, left, tall - 3);
    context.fillText("now", left + across - context.measureText("now").width, tall - 3);
    const changesOf = (strip) => strip.label.filter((value, i) => i && value !== strip.label[i - 1]).length;
    const unsure = (strip) => (strip.label.filter((value) => value === UNKNOWN).length * width).toFixed(0);
    $("compare-text").textContent =
      `Upper halves: published. Lower halves: with these settings. Changes: ${changesOf(published)} published, ${changesOf(replayed)} with these settings. Without an expression: ${unsure(published)} s and ${unsure(replayed)} s of ${(count * width).toFixed(0)} s.`;
  }

  async use() {
    try {
      await post("/api/tune/use", this.changes());
      await this.reload("In use until the next reload or restart.");
    } catch (error) {
      $("tune-status").textContent = error.message;
    }
  }

  // ferd uses new settings from its next tick on; then the sliders show them.
  async reload(words) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    await this.load();
    $("tune-status").textContent = words;
  }
}
