// Tests source = "browser": Chromium sends a clip from its fake camera. Run by scripts/test-page.
// Environment: FERD_PAGE (address), FERD_PID, FERD_CLIP, and harness.mjs's.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import assert from "node:assert/strict";
import { browser, end, launch, online, open, pictures, problems, serious, shots, story, until } from "./harness.mjs";

const address = process.env.FERD_PAGE, { port } = new URL(address);
const PERMITTED = { permissions: ["camera"] };
const page = await open(address, PERMITTED);

const state = () => page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.cameras[0]));
async function reason(pattern) {
  for (let i = 0; i < 300; i += 1) {
    const { status, error } = await state();
    if (status === "offline" && pattern.test(error)) return console.log(`        ferd: offline: ${error}`);
    await page.waitForTimeout(200);
  }
  throw new Error(`not offline with ${pattern}: ${JSON.stringify(await state())}`);
}
async function says(where, pattern) {
  await where.waitForFunction((source) => new RegExp(source).test(document.getElementById("own-text").textContent), pattern.source, { timeout: 60000 });
  console.log(`        page: ${await where.textContent("#own-text")}`);
}

await story("before anybody starts, the page offers this device's camera and ferd says that nobody sends", async () => {
  await says(page, /nowhere else/);
  assert.equal(await page.textContent("#own-start"), "Start this device's camera");
  assert.equal(await page.locator("#power").isVisible(), false);
  await reason(/no browser sends pictures/);
  await until(page, () => /No pictures/.test(document.getElementById("cover").textContent));
  await page.screenshot({ path: `${shots}/own-before.png` });
  assert.deepEqual(await serious(page, "before"), []);
});

await story("Start: the clip of the fake camera is read as that of any camera", async () => {
  await page.click("#own-start");
  await says(page, /is on, and its pictures go to ferd/);
  await online(page, 60000);
  await pictures(page, 60000);
  await until(page, () => document.querySelector("#bars tr.held"));
  await page.waitForTimeout(3000);
  const one = await state();
  console.log(`        ${one.fps} frames a second analysed, ${one.skipped} skipped; sent by ${one.sender.who}`);
  assert.equal(one.source, "browser camera");
  assert.match(one.sender.who, /Chrome on Linux/);
  await page.waitForFunction((before) => fetch("/api/state").then((r) => r.json()).then((s) => s.cameras[0].frames > before + 20), one.frames, { timeout: 60000 });
  await page.screenshot({ path: `${shots}/own-live.png` });
  assert.deepEqual(await serious(page, "sending"), []);
});

await story("the expression follows the clip", async () => {
  for (const label of ["happiness", "neutral"]) {
    await page.waitForFunction((wanted) => document.querySelector("#bars tr.held th")?.textContent === wanted, label, { timeout: 60000 });
  }
});

await story("a second visitor reads who has it, and takes over by a button", async () => {
  const second = await open(address, PERMITTED);
  await says(second, /Chrome on Linux sends the pictures of this camera since \d\d:\d\d/);
  await second.screenshot({ path: `${shots}/own-second.png` });
  assert.deepEqual(await serious(second, "second"), []);
  assert.equal(await second.textContent("#own-start"), "Take over with this device's camera");
  await second.click("#own-start");
  await says(second, /is on/);
  await says(page, /took over/);
  await page.waitForFunction(() => document.getElementById("own-video").srcObject === null);
  await page.screenshot({ path: `${shots}/own-taken.png` });
  await second.context().close();
  await reason(/was closed or lost its connection/);
});

await story("a visitor who is refused the camera interrupts nobody", async () => {
  await page.click("#own-start");
  await says(page, /is on/);
  const second = await open(address);
  await says(second, /sends the pictures/);
  await second.click("#own-start");
  await says(second, /did not give its camera/);
  await second.context().close();
  await online(page, 60000);
  assert.match(await page.textContent("#own-text"), /is on/);
});

await story("a page in the background sends nothing, and goes on when it is in front again", async () => {
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await online(page, 60000);
  await hide(true);
  await reason(/in the background/);
  await hide(false);
  await online(page, 60000);
  await pictures(page, 60000);
});

await story("ferd restarts: the page sends again by itself", async () => {
  const before = await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s));
  spawnSync("kill", ["-TERM", fs.readFileSync(process.env.FERD_PID, "utf8").trim()]);
  await says(page, /Reconnecting/);
  await says(page, /is on/);
  await online(page, 60000);
  assert.ok((await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s))) < before);
});

await story("the switch closes the camera of the device, Start switches it on again", async () => {
  await page.evaluate(() => fetch("/api/cameras/camera/enabled", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"value": false}' }));
  await says(page, /was switched off/);
  await until(page, () => document.getElementById("status").textContent.startsWith("disabled"));
  await page.waitForFunction(() => document.getElementById("own-video").srcObject === null);
  await page.click("#own-start");
  await online(page, 60000);
  await pictures(page, 60000);
});

await story("two classes are taught with it", async () => {
  await page.click("#tab-teach");
  await page.fill("#class-name", "mine");
  await page.keyboard.press("Enter");
  await page.locator("button.hold", { hasText: "mine" }).focus();
  await page.keyboard.down("Space");
  await until(page, () => /(1[2-9]|[2-9]\d) samples/.test(document.getElementById("classes").textContent), 60000);
  await page.keyboard.up("Space");
  await page.click("#tab-live");
});

await story("Stop closes the camera, and ferd says that its user stopped", async () => {
  await page.click("#own-stop");
  await says(page, /camera of this device is closed/);
  await page.waitForFunction(() => document.getElementById("own-video").srcObject === null);
  await reason(/its user stopped sending/);
});

for (const [name, scheme] of [["light", "light"], ["dark", "dark"]]) {
  await story(`axe finds nothing serious after Stop, ${name}`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(300);
    assert.deepEqual(await serious(page, name), []);
  });
}

await story("permission refused", async () => {
  const other = await open(address);
  await other.click("#own-start");
  await says(other, /did not give its camera/);
  await reason(/may not use its camera/);
  await other.screenshot({ path: `${shots}/own-refused.png` });
  await other.context().close();
});

await story("camera busy", async () => {
  const other = await open(address, PERMITTED);
  await other.evaluate(() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("Could not start video source", "NotReadableError")); });
  await other.click("#own-start");
  await says(other, /Another program uses the camera/);
  await reason(/another program uses the camera/);
  await other.context().close();
});

await story("no camera: a browser without one", async () => {
  const bare = await launch();
  const context = await bare.newContext(PERMITTED), other = await context.newPage();
  await other.goto(address);
  await other.waitForSelector("#own-start", { state: "visible" });
  await other.click("#own-start");
  await says(other, /finds no camera/);
  await reason(/has no camera/);
  await bare.close();
});

await story("over http from another machine: the remedy is named", async () => {
  const context = await browser.newContext(PERMITTED), other = await context.newPage();
  await other.goto(`http://ferd.example:${port}/`);
  await other.waitForSelector("#own-start", { state: "visible" });
  await other.click("#own-start");
  await says(other, /only over https, or on the machine itself.*ssh -L/);
  await reason(/over http from another machine/);
  await other.screenshot({ path: `${shots}/own-insecure.png` });
  assert.deepEqual(await serious(other, "insecure"), []);
  await context.close();
});

await story("on a phone nothing is wider than the screen", async () => {
  const phone = await open(address, { ...PERMITTED, viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await phone.click("#own-start");
  await pictures(phone, 60000);
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  await phone.screenshot({ path: `${shots}/own-phone.png` });
  assert.ok(wide <= 0, `${wide} pixels too wide`);
  await phone.context().close();
});

await story("no error, no foreign request, no violation of the content policy", async () => assert.deepEqual(problems, []));

await end();
