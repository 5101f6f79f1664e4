// How ferd is: cameras, stages, board, model, doctor, log.

import { $, clock, el, facts, percent } from "./dom.js";
import { get, post } from "./api.js";

const MARKS = { ok: "✓ ok", note: "– note", warning: "! warning", error: "✗ error" };

export class HealthView {
  constructor() {
    $("examine").addEventListener("click", () => this.examine());
  }

  async load(state) {
    const health = await get("/api/health");
    $("cameras").replaceChildren(table(["camera", "status", "a second", "read", "skipped", "late", "reopened", "built anew", "restarts of ferd", "last reason"],
      state.cameras.map((camera) => [camera.name, camera.error ? `${camera.status}: ${camera.error}` : camera.status, camera.fps, camera.frames, camera.skipped,
        camera.latency_ms === null ? "–" : `${camera.latency_ms.toFixed(0)} ms`, camera.reopened, camera.rebuilt, camera.restarts, camera.reason || "–"])));
    const cameras = Object.keys(health.stages), names = [...new Set(cameras.flatMap((camera) => Object.keys(health.stages[camera])))];
    $("stages").replaceChildren(table(["stage", ...cameras], names.map((name) => [name, ...cameras.map((camera) => `${(health.stages[camera][name] ?? 0).toFixed(2)} ms`)])));
    facts($("board"), [["memory", health.rss_mb && `${health.rss_mb.toFixed(0)} MB`],
      ["temperature", health.temperature_c ? `${health.temperature_c.toFixed(0)} °C` : "no sensor"],
      ["slowed down", health.throttled ? health.throttled.join(", ") || "no" : null],
      ["broker", state.broker.connected ? "connected" : `away: ${state.broker.reason}`], ["reconnects", state.broker.reconnects],
      ["detector", health.detector], ["runtime", health.runtime], ["ferd", state.version]]);
    const model = health.models[0], figures = model.card.figures ?? {};
    facts($("model"), [["name", model.name], ["labels", model.labels.join(", ")], ["as it was made", model.as_made ? "yes, to the bit" : null],
      ["accuracy", figures.accuracy && percent(figures.accuracy)], ["measured by", figures.protocol],
      ["trained on", (model.card.trained_on ?? []).map((set) => set.name ?? set).join(", ")]]);
    const log = $("log"), atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.textContent = health.log.map((line) => `${clock(line.at)} ${line.level.padEnd(7)} ${line.text}`).join("\n") || "Nothing yet.";
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  async examine() {
    $("examine").disabled = true;
    $("examined").textContent = "Looks at everything; this takes some seconds …";
    try {
      const { findings } = await post("/api/doctor", {});
      $("findings").replaceChildren(...findings.map((finding) => el("tr", {}, el("td", {}, MARKS[finding.verdict]), el("td", {}, finding.about),
        el("td", {}, finding.found, ...(finding.remedy ? [el("br"), `→ ${finding.remedy}`] : [])))));
      $("examined").textContent = `${findings.filter((f) => f.verdict === "error").length} errors, ${findings.filter((f) => f.verdict === "warning").length} warnings`;
    } catch (error) {
      $("examined").textContent = error.message;
    }
    $("examine").disabled = false;
  }
}

function table(head, rows) {
  const cell = (tag, value) => el(tag, tag === "th" ? { scope: "col" } : {}, String(value));
  const made = el("table", { class: "events" }, el("thead", {}, el("tr", {}, ...head.map((value) => cell("th", value)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((value) => cell("td", value))))));
  return el("div", { class: "wide" }, made);
}
