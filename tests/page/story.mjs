// Tests the page in a real browser. Run by scripts/test-page, which starts ferd and sets the environment.
// Environment: FERD_PAGE (address), FERD_PID, FERD_SCENE (yes: the demo scene, whose picture is known), and harness.mjs's.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import assert from "node:assert/strict";
import { end, online, open as openAt, pictures, problems, serious, shots, story, until } from "./harness.mjs";

const address = process.env.FERD_PAGE;
const open = (options) => openAt(address, options);

const page = await open();

await story("the picture is shown, with a face and its bars", async () => {
  await pictures(page);
  await until(page, () => document.querySelector("#bars tr.held"));
  assert.equal(await page.locator("#sending").isVisible(), true);
  await page.screenshot({ path: `${shots}/live.png` });
});

await story("first paint (wanted: within 1000 ms on an idle machine)", async () => {
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  console.log(`        first contentful paint ${paint.toFixed(0)} ms`);
  assert.ok(paint > 0);
});

await story("age of the picture (wanted: at most 150 ms on an idle machine)", async () => {
  const words = await page.textContent("#pace");
  console.log(`        ${words}`);
  assert.match(words, /\d+ ms old/);
});

await story("without the picture only readings are sent", async () => {
  await page.uncheck("#show-picture");
  await until(page, () => /readings? per second/.test(document.getElementById("pace").textContent));
  await until(page, () => document.getElementById("sending").hidden);
  await page.check("#show-picture");
  await pictures(page);
});

await story("stop closes the camera, start opens it again", async () => {
  await page.click("#power");
  await until(page, () => document.getElementById("status").textContent.startsWith("disabled"));
  await until(page, () => document.getElementById("cover").textContent.includes("stopped"));
  await page.screenshot({ path: `${shots}/stopped.png` });
  await page.click("#power");
  await online(page);
  await pictures(page);
});

await story("keyboard alone: through the views with arrows, the timeline with arrows", async () => {
  await page.focus("#tab-live");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getAttribute("#tab-time", "aria-selected"), "true");
  await until(page, () => document.querySelectorAll("#events tr").length > 0);
  await page.focus("#timeline");
  await page.keyboard.press("End");
  assert.match(await page.textContent("#moment"), /\d:\d\d.*(person|people|no frames)/);
});

await story("the mouse over the timeline shows the moment, also of the day", async () => {
  await page.check("input[name=span][value=day]");
  await page.waitForTimeout(1000);
  await page.focus("#timeline");
  await page.keyboard.press("End"); // a minute of a day is one pixel wide
  assert.match(await page.textContent("#moment"), /\d:\d\d:\d\d: (?!no frames).*(person|people)/);
  await page.screenshot({ path: `${shots}/time-day.png` });
  await page.check("input[name=span][value=recent]");
  await page.waitForTimeout(1000);
  const box = await page.locator("#timeline").boundingBox();
  await page.mouse.move(box.x + 100, box.y + 40);
  await page.waitForTimeout(200);
  assert.match(await page.textContent("#moment"), /no frames/);
  await page.mouse.move(box.x + box.width - 12, box.y + 40);
  await page.waitForTimeout(200);
  assert.match(await page.textContent("#moment"), /\d:\d\d:\d\d: (?!no frames).*(person|people)/);
  await page.screenshot({ path: `${shots}/time.png` });
});

await story("another threshold is tried on the last minutes, used, and written with the comments kept", async () => {
  await page.click("#tab-tune");
  await until(page, () => /published/.test(document.getElementById("compare-text").textContent));
  await page.focus("input[name=min_hold_s]");
  for (let i = 0; i < 20; i += 1) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${shots}/tune.png` });
  await page.click("#use");
  await until(page, () => document.getElementById("tune-status").textContent.startsWith("In use"));
  await page.focus("input[name=time_constant_s]");
  await page.keyboard.press("ArrowRight");
  await page.click("#diff");
  await until(page, () => document.querySelector("#saving .patch")?.textContent.includes("+time_constant_s"));
  assert.match(await page.textContent("#saving .patch"), /\+min_hold_s/, "what is in use already is saved as well");
  await page.screenshot({ path: `${shots}/tune-change.png` });
  await page.click("#saving .write");
  await until(page, () => document.getElementById("tune-status").textContent.startsWith("Written"));
});

async function hold(label) {
  const button = page.locator("button.hold", { hasText: label });
  await button.focus();
  await page.keyboard.down("Space");
  await page.waitForFunction((name) => [...document.querySelectorAll("#classes li")].some((li) =>
    li.textContent.includes(name) && Number(/(\d+) samples/.exec(li.textContent)[1]) >= 12), label, { timeout: 60000 });
  await page.keyboard.up("Space");
  await page.waitForTimeout(2500);
}

await story("two classes are trained by holding a button, and used", async () => {
  await page.click("#tab-teach");
  for (const label of ["one", "other"]) {
    await page.fill("#class-name", label);
    await page.keyboard.press("Enter");
    await hold(label);
  }
  await page.screenshot({ path: `${shots}/teach.png` });
  await page.click("#train button");
  await until(page, () => document.querySelector("#report table"), 60000);
  await page.click("#try-model");
  await until(page, () => document.getElementById("teach-status").textContent.includes("in use"));
  await page.click("#tab-live");
  await until(page, () => [...document.querySelectorAll("#bars th")].some((th) => th.textContent === "other"));
  await page.screenshot({ path: `${shots}/taught.png` });
  await page.click("#tab-teach");
  await page.click("#save-model");
  await until(page, () => document.querySelector("#model-saving .patch")?.textContent.includes('+model = "mine"'));
  await page.click("#old-model");
  for (const label of ["one", "other"]) await page.click(`button[aria-label="Forget ${label}"]`);
});

await story("ferd's own model is corrected for a face, by two buttons, and used if that is better", async () => {
  await page.check("input[name=lesson][value=adapt]");
  await page.fill("#model-name", "corrected");
  for (const label of ["neutral", "happiness"]) await hold(label);
  await page.click("#train-button");
  // The scene's face changes while the buttons are held: there may be nothing to correct, and then nothing is stored.
  await until(page, () => /were right before/.test(document.getElementById("report").textContent)
    || /nothing was stored/.test(document.getElementById("teach-status").textContent), 60000);
  await page.screenshot({ path: `${shots}/adapt.png`, fullPage: true });
  if (/nothing was stored/.test(await page.textContent("#teach-status"))) {
    console.log(`        ${await page.textContent("#teach-status")}`);
    return;
  }
  console.log(`        ${await page.textContent("#report")}`);
  await page.click("#try-model");
  await until(page, () => document.getElementById("teach-status").textContent.includes("corrected is in use"));
  await page.click("#tab-live");
  await until(page, () => [...document.querySelectorAll("#bars th")].some((th) => th.textContent === "happiness"));
  await pictures(page);
  await page.click("#tab-teach");
  await page.click("#old-model");
});

await story("health, with the doctor", async () => {
  await page.click("#tab-health");
  await until(page, () => document.querySelectorAll("#stages tr").length > 4);
  await until(page, () => document.querySelectorAll("#cameras th").length === document.querySelectorAll("#cameras td").length);
  await until(page, () => !document.getElementById("cameras").textContent.includes("undefined"));
  await page.click("#examine");
  await until(page, () => document.querySelectorAll("#findings tr").length > 3, 60000);
  await page.screenshot({ path: `${shots}/health.png`, fullPage: true });
});

for (const scheme of ["light", "dark"]) {
  for (const view of ["live", "time", "tune", "teach", "health"]) {
    await story(`axe finds nothing serious: ${view}, ${scheme}`, async () => {
      await page.emulateMedia({ colorScheme: scheme });
      await page.click(`#tab-${view}`);
      await page.waitForTimeout(800);
      assert.deepEqual(await serious(page, view), []);
    });
  }
}

await story("on a phone nothing is wider than the screen", async () => {
  const phone = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, reducedMotion: "reduce" });
  await pictures(phone);
  for (const view of ["live", "time", "tune", "teach", "health"]) {
    await phone.click(`#tab-${view}`);
    await phone.waitForTimeout(1200);
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    await phone.screenshot({ path: `${shots}/phone-${view}.png`, fullPage: true });
    assert.ok(wide <= 0, `${view} is ${wide} pixels too wide`);
  }
  await phone.context().close();
});

await story("reload in the middle", async () => {
  await page.click("#tab-live");
  await pictures(page);
  await page.reload();
  await pictures(page);
});

await story("a thousand idle connections and a reader of one byte a second do not stop the picture", async () => {
  const { hostname, port } = new URL(address);
  const frames = () => page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.cameras[0].frames));
  const rate = async () => {
    const before = await frames(), began = Date.now();
    await page.waitForTimeout(8000);
    return ((await frames()) - before) / ((Date.now() - began) / 1000);
  };
  const alone = await rate(), idle = [];
  for (let i = 0; i < 1000; i += 1) {
    const line = net.connect(Number(port), hostname).on("error", () => {});
    idle.push(line);
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const slow = net.connect({ host: hostname, port: Number(port) }).on("error", () => {});
  slow.write(`GET /api/live?camera=camera HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`);
  slow.pause();
  const drip = setInterval(() => slow.read(1), 1000);
  const beset = await rate();
  console.log(`        ${alone.toFixed(1)} frames a second alone, ${beset.toFixed(1)} with them; the page: ${await page.textContent("#pace")}`);
  clearInterval(drip);
  for (const line of [...idle, slow]) line.destroy();
  assert.ok(beset > 0.5 * alone);
  await pictures(page);
});

await story("ferd restarts while the page is open, and the page reconnects by itself", async () => {
  const before = await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s));
  spawnSync("kill", ["-TERM", fs.readFileSync(process.env.FERD_PID, "utf8").trim()]);
  await until(page, () => !document.getElementById("cover").hidden, 10000);
  await until(page, () => document.getElementById("cover").hidden && /pictures? per/.test(document.getElementById("pace").textContent), 40000);
  const after = await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s));
  assert.ok(after < before);
});

await story("no error, no foreign request, no violation of the content policy", async () => assert.deepEqual(problems, []));

await end();
