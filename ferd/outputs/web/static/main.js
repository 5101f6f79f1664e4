// The page: header, views, and the connection to the camera that is shown.

import { $, el, text } from "./dom.js";
import { get, LiveConnection, post } from "./api.js";
import { Live } from "./live.js";
import { Gestures } from "./gestures.js";
import { Timeline } from "./time.js";
import { Teach } from "./teach.js";
import { Tune } from "./tune.js";
import { HealthView } from "./health.js";
import { OwnCamera } from "./own_camera.js";

const STATE_EVERY_MS = 2000;
const live = new Live(), gestures = new Gestures(), timeline = new Timeline(), tune = new Tune(), teach = new Teach(), health = new HealthView();
const own = new OwnCamera(() => { if (chosen()) showOwn(chosen()); });
const views = ["live", "time", "tune", "teach", "health"];
let state = null, view = "live", camera = null, stateAt = -Infinity;

const connection = new LiveConnection(
  (head, bitmap) => {
    const next = head.kind === "state" ? head : head.state; // readings carry it every two seconds
    if (next) {
      stateAt = performance.now();
      show(next);
      showError(null);
    }
    if (head.kind === "reading" && state) {
      if (bitmap && $("sending").hidden) showViewers(1);
      if (view === "teach") teach.message(head, bitmap, state.labels);
      else gestures.message(head, live.message(head, bitmap, connection.picture));
    }
  },
  (open) => { if (!open) live.cover("No connection to ferd. Reconnecting …"); },
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
  gestures.setState(state, one);
  text($("status"), one.status + (one.source ? ` · ${one.source}` : ""));
  $("status").className = `pill ${one.status}`;
  const power = $("power");
  text(power, one.enabled ? "Stop" : "Start");
  power.setAttribute("aria-label", one.enabled ? `Stop and close camera ${one.name}` : `Start camera ${one.name}`);
  power.setAttribute("aria-pressed", String(one.enabled));
  showOwn(one);
  showViewers(one.pictures_to);
  if (one.status !== "online") live.cover(coverText(one));
}

function showOwn(one) {
  own.show(one, state.cameras);
  $("power").hidden = one.browser && (!one.sender || own.camera === one.name); // Start and Stop of this device are there
}

function showViewers(count) {
  $("sending").hidden = !count;
  text($("sending-text"), `Sending pictures: ${count === 1 ? "1 viewer" : `${count} viewers`} connected`);
}

function coverText(one) {
  if (one.browser && one.status === "disabled") return "The camera is switched off. Press Start above.";
  if (one.browser && one.status === "offline") return `No pictures: ${one.error ?? "unknown reason"}.`;
  if (one.status === "disabled") return "The camera is stopped and closed. Press Start.";
  if (one.status === "offline") return `The camera gives no picture: ${one.error ?? "unknown reason"}. ferd keeps trying.`;
  return "Opening the camera …";
}

function cameras() {
  const names = state.cameras.map((one) => one.name), select = $("camera");
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
    choose(names.includes(camera) ? camera : names[0]);
  }
}

function choose(name) {
  camera = name;
  $("camera").value = name;
  live.cover("Waiting for a picture …");
  update();
}

function update() {
  if (view === "live") connection.watch(camera, $("show-picture").checked);
  else if (view === "teach") connection.watch(camera, true);
  else connection.watch(null);
  teach.load(view === "teach" ? camera : null);
  if (view === "time") timeline.load(camera).catch(showError);
  if (view === "tune") tune.load(camera).catch(showError);
  if (view === "health" && state) health.load(state).catch(showError);
}

function showError(error) {
  $("error").hidden = !error;
  text($("error"), error ? error.message : "");
}

async function refresh(force = false) {
  try {
    if (!force && (document.hidden || performance.now() - stateAt < STATE_EVERY_MS * 1.5)) return; // the live connection carries it
    show(await get("/api/state"));
    showError(null);
    if (view === "time") await timeline.load(camera);
    if (view === "health") await health.load(state);
  } catch (error) {
    showError(new Error(`ferd does not answer (${error.message}). The page continues by itself when it does.`));
  }
}

function openView(name, focus = false) {
  view = name;
  for (const other of views) {
    const tab = $(`tab-${other}`), is = other === name;
    tab.setAttribute("aria-selected", String(is));
    tab.tabIndex = is ? 0 : -1;
    $(`view-${other}`).hidden = !is;
    if (is && focus) tab.focus();
  }
  history.replaceState(null, "", `#${name}`);
  update();
}

for (const name of views) {
  $(`tab-${name}`).addEventListener("click", () => openView(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) openView(views[(views.indexOf(name) + step + views.length) % views.length], true);
  });
}
$("camera").addEventListener("change", (event) => choose(event.target.value));
$("show-picture").addEventListener("change", update);
$("power").addEventListener("click", async () => {
  try {
    const one = chosen();
    await post(`/api/cameras/${one.name}/enabled`, { value: !one.enabled });
    setTimeout(() => refresh(true), 300);
  } catch (error) {
    showError(error);
  }
});
window.addEventListener("resize", () => { timeline.draw(); if (view === "tune" && tune.result) tune.draw(); });
window.addEventListener("hashchange", () => { if (views.includes(location.hash.slice(1))) openView(location.hash.slice(1)); });

await refresh();
if (views.includes(location.hash.slice(1))) openView(location.hash.slice(1));
setInterval(() => refresh(), STATE_EVERY_MS);
