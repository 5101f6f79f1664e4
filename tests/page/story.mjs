// Drives the page in a real browser. Run by scripts/test-page, which starts ferd and knows where everything lies.
// Environment: FERD_PAGE (address), FERD_CHROMIUM (program), FERD_SHOTS (folder), FERD_NODE_MODULES, FERD_PID.
import { createRequire } from "node:module";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.FERD_NODE_MODULES}/`);
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const address = process.env.FERD_PAGE, shots = process.env.FERD_SHOTS;
fs.mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.FERD_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const problems = [];
let failed = 0;

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, bypassCSP: false, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith("blob:")) problems.push(`asks for ${request.url()}`);
  });
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) problems.push(message.text());
  });
  await page.goto(address);
  return page;
}

async function story(name, tell) {
  try {
    await tell();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}

const until = (page, told, timeout = 20000) => page.waitForFunction(told, null, { timeout });
const online = (page) => until(page, () => document.getElementById("status").textContent.startsWith("online"));
const pictures = (page) => until(page, () => /pictures a second/.test(document.getElementById("pace").textContent));

async function serious(page, where) {
  // Into the page by the browser itself: the page's own policy lets nobody else's script in.
  const client = await page.context().newCDPSession(page);
  await client.send("Runtime.evaluate", { expression: axe });
  const { result } = await client.send("Runtime.evaluate", {
    expression: "axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => [v.impact, v.id, v.nodes[0].html])))",
    awaitPromise: true, returnByValue: true,
  });
  const found = JSON.parse(result.value);
  for (const one of found) console.log(`        axe ${where}: ${one.join(" ")}`);
  return found.filter(([impact]) => impact === "serious" || impact === "critical");
}

const page = await open();

await story("the picture comes, with a face and its bars", async () => {
  await pictures(page);
  await until(page, () => document.querySelector("#bars tr.held"));
  assert.equal(await page.locator("#sending").isVisible(), true);
  await page.screenshot({ path: `${shots}/live.png` });
});

await story("first paint within a second", async () => {
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  console.log(`        first contentful paint ${paint.toFixed(0)} ms`);
  assert.ok(paint < 1000);
});

await story("the picture is at most 150 ms old", async () => {
  const words = await page.textContent("#pace");
  console.log(`        ${words}`);
  assert.ok(Number(/(\d+) ms old/.exec(words)[1]) <= 150);
});

await story("without the picture the readings go on, and nothing is sent", async () => {
  await page.uncheck("#show-picture");
  await until(page, () => /readings a second/.test(document.getElementById("pace").textContent));
  await until(page, () => document.getElementById("sending").hidden);
  await page.check("#show-picture");
  await pictures(page);
});

await story("stop closes the camera, start opens it again", async () => {
  await page.click("#power");
  await until(page, () => document.getElementById("status").textContent.startsWith("disabled"));
  await until(page, () => document.getElementById("curtain").textContent.includes("stopped"));
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
  assert.match(await page.textContent("#moment"), /\d:\d\d.*(person|people|looked)/);
  await page.screenshot({ path: `${shots}/time.png` });
});

await story("another threshold, tried on the last minutes, used, and written with its comments", async () => {
  await page.click("#tab-tune");
  await until(page, () => /told/.test(document.getElementById("compare-text").textContent));
  await page.focus("input[name=hold_s]");
  for (let i = 0; i < 20; i += 1) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${shots}/tune.png` });
  await page.click("#use");
  await until(page, () => document.getElementById("tune-said").textContent.startsWith("In use"));
  await page.focus("input[name=tau_s]");
  await page.keyboard.press("ArrowRight");
  await page.click("#diff");
  await until(page, () => document.getElementById("patch").textContent.includes("+tau_s"));
  await page.click("#save");
  await until(page, () => document.getElementById("tune-said").textContent.startsWith("Written"));
});

await story("two classes are taught by holding a button, and used", async () => {
  await page.click("#tab-teach");
  for (const label of ["one", "other"]) {
    await page.fill("#class-name", label);
    await page.keyboard.press("Enter");
    const button = page.locator("button.hold", { hasText: label });
    await button.focus();
    await page.keyboard.down("Space");
    await page.waitForFunction((name) => [...document.querySelectorAll("#classes li")].some((li) =>
      li.textContent.includes(name) && Number(/(\d+) samples/.exec(li.textContent)[1]) >= 12), label, { timeout: 40000 });
    await page.keyboard.up("Space");
    await page.waitForTimeout(2500);
  }
  await page.screenshot({ path: `${shots}/teach.png` });
  await page.click("#train button");
  await until(page, () => document.querySelector("#report table"), 60000);
  await page.click("#try-model");
  await until(page, () => document.getElementById("teach-said").textContent.includes("in use"));
  await page.click("#tab-live");
  await until(page, () => [...document.querySelectorAll("#bars th")].some((th) => th.textContent === "other"));
  await page.screenshot({ path: `${shots}/taught.png` });
  await page.click("#tab-teach");
  await page.click("#old-model");
});

await story("health, with the doctor", async () => {
  await page.click("#tab-health");
  await until(page, () => document.querySelectorAll("#stages tr").length > 4);
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

await story("ferd starts anew while the page is open, and the page comes back by itself", async () => {
  const before = await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s));
  spawnSync("kill", ["-TERM", fs.readFileSync(process.env.FERD_PID, "utf8").trim()]);
  await until(page, () => !document.getElementById("curtain").hidden, 10000);
  await until(page, () => document.getElementById("curtain").hidden && /pictures/.test(document.getElementById("pace").textContent), 40000);
  const after = await page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.up_s));
  assert.ok(after < before);
});

await story("no error, no foreign request, nothing against the policy", async () => assert.deepEqual(problems, []));

await browser.close();
console.log(failed ? `${failed} stories failed` : "all stories passed");
process.exit(failed ? 1 : 0);
