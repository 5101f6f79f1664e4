// Tests gestures on the page: the curves with their thresholds, and a practice whose result is saved. A drawn person tilts
// her head to her left every six seconds (gesture_clip.py). Run by scripts/test-page.
// Environment: FERD_PAGE (address), FERD_PID, and harness.mjs's.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import assert from "node:assert/strict";
import { end, open, pictures, problems, serious, shots, story, until } from "./harness.mjs";

const address = process.env.FERD_PAGE;
const page = await open(address);
const tuned = () => page.evaluate(() => fetch("/api/state").then((r) => r.json()).then((s) => s.cameras[0].tuned_gestures));
const tilted = () => until(page, () => document.getElementById("gesture").textContent.startsWith("tilt left"), 90000);

await story("a gesture is shown, with the movements, the strength and the threshold in use", async () => {
  await pictures(page, 120000);
  await page.selectOption("#practice-name", "tilt_left");
  await tilted();
  assert.match(await page.textContent("#strength-text"), /Threshold in use: 16, the default/);
  await page.waitForTimeout(9000);
  await page.screenshot({ path: `${shots}/gestures.png`, fullPage: true });
});

await story("a practice of ten counts, and offers a threshold for this person", async () => {
  const before = await page.textContent("#gesture");
  await page.waitForFunction((words) => document.getElementById("gesture").textContent !== words, before, { timeout: 60000 });
  await page.click("#practice-start"); // right after a tilt: the next one falls into the window after the first request
  await until(page, () => /Now: tilt left!/.test(document.getElementById("practice-text").textContent), 60000);
  await page.screenshot({ path: `${shots}/practice.png`, fullPage: true });
  await until(page, () => /Save it for this camera|No threshold/.test(document.getElementById("practice-text").textContent), 180000);
  const words = await page.textContent("#practice-text");
  console.log(`        ${words}`);
  assert.match(words, /With a threshold of [\d.]+ \(in use: 16\) it would be ([89]|10) of 10/);
  await page.screenshot({ path: `${shots}/practised.png`, fullPage: true });
  assert.deepEqual(await serious(page, "practised"), []);
});

await story("it is saved, and survives a restart", async () => {
  await page.click("#practice-save");
  await until(page, () => /Saved for this camera/.test(document.getElementById("practice-text").textContent));
  await until(page, () => /tuned for this camera \(default 16\)/.test(document.getElementById("strength-text").textContent));
  const saved = (await tuned()).tilt_left;
  assert.ok(saved > 9 && saved < 30 && saved !== 16);
  await page.screenshot({ path: `${shots}/tuned.png`, fullPage: true });
  await page.waitForTimeout(2000);
  spawnSync("kill", ["-TERM", fs.readFileSync(process.env.FERD_PID, "utf8").trim()]);
  await until(page, () => !document.getElementById("cover").hidden, 30000);
  await until(page, () => document.getElementById("cover").hidden, 90000);
  assert.equal((await tuned()).tilt_left, saved);
  await tilted();
});

for (const scheme of ["light", "dark"]) {
  await story(`axe finds nothing serious with gestures, ${scheme}`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(800);
    assert.deepEqual(await serious(page, scheme), []);
    await page.screenshot({ path: `${shots}/gestures-${scheme}.png`, fullPage: true });
  });
}

await story("back to the defaults", async () => {
  await page.click("#practice-reset");
  await until(page, () => /defaults are in use again/.test(document.getElementById("practice-text").textContent));
  await until(page, () => /16, the default/.test(document.getElementById("strength-text").textContent));
  await page.waitForTimeout(1000);
  assert.deepEqual(await tuned(), {});
});

await story("no error, no foreign request, no violation of the content policy", async () => assert.deepEqual(problems, []));

await end();
