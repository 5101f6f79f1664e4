// The page: head, views, and the line to the camera that is looked at.

import { $, el, text } from "./dom.js";
import { get, Line, post } from "./api.js";
import { Live } from "./live.js";
import { Timeline } from "./time.js";
import { Teach } from "./teach.js";
import { Tune } from "./tune.js";
import { HealthView } from "./health.js";

const STATE_EVERY_MS = 2000;
const live = new Live(), timeline = new Timeline(), tune = new Tune(), teach = new Teach(), health = new HealthView();
const views = ["live", "time", "tune", "teach", "health"];
let state = null, view = "live", camera = null, toldAt = -Infinity;

const line = new Line(
  (head, bitmap) => {
    const told = head.kind === "state" ? head : head.state; // readings carry it now and then
    if (told) {
      toldAt = performance.now();
      show(told);
      trouble(null);
    }
    if (head.kind === "reading" && state) {
      if (bitmap && $("sending").hidden) sending(1);
      if (view === "teach") teach.message(head, bitmap, state.labels);
      else live.message(head, bitmap, line.picture);
    }
  },
  (open) => { if (!open) live.curtain("No connection to ferd. Trying again …"); },
);

const chosen = () => state?.cameras.find((one) => one.name === camera);

function show(next) {
  state = next;
  text($("node"), state.node);
  $("leave").hidden = !state.token;
  document.title = `ferd ${state.node}`;
  live.setLabels(state.labels);
  cameras();
  const one = chosen();
  if (!one) return;
  text($("status"), one.status + (one.source ? ` · ${one.source}` : ""));
  $("status").className = `pill ${one.status}`;
  const power = $("power");
  text(power, one.enabled ? "Stop" : "Start");
  power.setAttribute("aria-label", one.enabled ? `Stop camera ${one.name}: it is closed` : `Start camera ${one.name}`);
  power.setAttribute("aria-pressed", String(one.enabled));
  sending(one.pictures_to);
  if (one.status !== "online") live.curtain(curtain(one));
}

function sending(lookers) {
  $("sending").hidden = !lookers;
  text($("sending-text"), `Pictures are being sent to ${lookers === 1 ? "one looker" : `${lookers} lookers`}`);
}

function curtain(one) {
  if (one.status === "disabled") return "The camera is stopped, and closed. Press Start.";
  if (one.status === "offline") return `The camera gives no picture: ${one.error ?? "not known why"}. ferd goes on trying.`;
  return "The camera is being opened …";
}

function cameras() {
  const names = state.cameras.map((one) => one.name), select = $("camera");
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
    look(names.includes(camera) ? camera : names[0]);
  }
}

function look(name) {
  camera = name;
  $("camera").value = name;
  live.curtain("Waiting for a picture …");
  follow();
}

function follow() {
  if (view === "live") line.look(camera, $("show-picture").checked);
  else if (view === "teach") line.look(camera, true);
  else line.look(null);
  teach.load(view === "teach" ? camera : null);
  if (view === "time") timeline.load(camera).catch(trouble);
  if (view === "tune") tune.load(camera).catch(trouble);
  if (view === "health" && state) health.load(state).catch(trouble);
}

function trouble(error) {
  $("trouble").hidden = !error;
  text($("trouble"), error ? error.message : "");
}

async function refresh(force = false) {
  try {
    if (!force && (document.hidden || performance.now() - toldAt < STATE_EVERY_MS * 1.5)) return; // the line says it
    show(await get("/api/state"));
    trouble(null);
    if (view === "time") await timeline.load(camera);
    if (view === "health") await health.load(state);
  } catch (error) {
    trouble(new Error(`ferd does not answer (${error.message}). The page goes on by itself when it does.`));
  }
}

function turnTo(name, focus = false) {
  view = name;
  for (const other of views) {
    const tab = $(`tab-${other}`), is = other === name;
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
    $(`view-${other}`).hidden = !is;
    if (is && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
  follow();
}

for (const name of views) {
  $(`tab-${name}`).addEventListener("click", () => turnTo(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) turnTo(views[(views.indexOf(name) + step + views.length) % views.length], true);
  });
}
$("camera").addEventListener("change", (event) => look(event.target.value));
$("show-picture").addEventListener("change", follow);
$("power").addEventListener("click", async () => {
  try {
    const one = chosen();
    await post(`/api/cameras/${one.name}/enabled`, { value: !one.enabled });
    setTimeout(() => refresh(true), 300);
  } catch (error) {
    trouble(error);
  }
});
window.addEventListener("resize", () => { timeline.draw(); if (view === "tune" && tune.result) tune.draw(); });
window.addEventListener("hashchange", () => { if (views.includes(location.hash.slice(1))) turnTo(location.hash.slice(1)); });

await refresh();
if (views.includes(location.hash.slice(1))) turnTo(location.hash.slice(1));
setInterval(() => refresh(), STATE_EVERY_MS);
