// A ferd as a service has it: a token, no camera, and a configuration that it may not write. Run by scripts/test-page.
// Environment: FERD_PAGE (address), FERD_TOKEN, and harness.mjs's.
import http from "node:http";
import assert from "node:assert/strict";
import { browser, end, open, problems, serious, shots, story, until } from "./harness.mjs";

const address = process.env.FERD_PAGE, { port } = new URL(address);
const page = await open(address);

await story("without the token there is the login page, and no wrong one lets in", async () => {
  assert.ok(page.url().endsWith("/login"));
  assert.deepEqual(await serious(page, "login"), []);
  await page.screenshot({ path: `${shots}/login.png` });
  await page.fill("#token", "a wrong token, long enough");
  await page.keyboard.press("Enter");
  await page.waitForLoadState();
  await until(page, () => document.getElementById("wrong") && !document.getElementById("wrong").hidden);
  await page.screenshot({ path: `${shots}/login-wrong.png` });
  assert.equal((await page.request.get(`${address}api/state`)).status(), 401);
});

await story("the right one does, and the cookie is out of a script's reach", async () => {
  await page.fill("#token", process.env.FERD_TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#tab-live");
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  assert.equal(await page.evaluate(() => document.cookie), "");
});

await story("no camera: the page says so, why, and what to do", async () => {
  await until(page, () => /gives no picture/.test(document.getElementById("curtain").textContent));
  console.log(`        ${await page.textContent("#curtain")}`);
  assert.match(await page.textContent("#status"), /offline/);
  assert.equal(await page.locator("#sending").isVisible(), false);
  await page.screenshot({ path: `${shots}/no-camera.png` });
  assert.deepEqual(await serious(page, "no camera"), []);
  for (const view of ["time", "tune", "teach", "health"]) {
    await page.click(`#tab-${view}`);
    await page.waitForTimeout(800);
    await page.screenshot({ path: `${shots}/no-camera-${view}.png`, fullPage: true });
    assert.equal(await page.locator("#trouble").isVisible(), false);
  }
});

await story("a file that ferd may not write: the change is shown, with what to paste and what to type", async () => {
  await page.click("#tab-tune");
  await page.waitForSelector("input[name=time_constant_s]");
  await page.focus("input[name=time_constant_s]");
  await page.keyboard.press("ArrowRight");
  await page.click("#diff");
  await page.waitForSelector("#saving .by-hand");
  const words = await page.textContent("#saving");
  assert.match(words, /\+time_constant_s = /);
  assert.match(words, /sudoedit .*ferd\.toml\nsudo systemctl reload ferd/);
  assert.equal(await page.locator("#saving .write").count(), 0);
  assert.deepEqual(await serious(page, "by hand"), []);
  await page.screenshot({ path: `${shots}/by-hand.png`, fullPage: true });
});

await story("another site's page gets nothing: no socket, no change, no answer", async () => {
  const evil = http.createServer((_, answer) => answer.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>evil</title>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => evil.once("listening", resolve));
  // The same browser, with the cookie; another port is the same site, so that SameSite alone would not help.
  const other = await page.context().newPage();
  await other.goto(`http://127.0.0.1:${evil.address().port}/`);
  const got = await other.evaluate(async (target) => {
    const socket = await new Promise((resolve) => {
      const line = new WebSocket(`${target.replace("http", "ws")}api/live?camera=camera`);
      line.onopen = () => resolve("open");
      line.onerror = () => resolve("refused");
    });
    const change = await fetch(`${target}api/cameras/camera/enabled`, { method: "POST", credentials: "include", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: '{"value": false}' }).then((r) => r.type, () => "refused");
    const read = await fetch(`${target}api/state`, { credentials: "include" }).then(() => "read", () => "refused");
    return { socket, change, read };
  }, address);
  evil.close();
  await other.close();
  assert.deepEqual([got.socket, got.read], ["refused", "refused"]);
  await page.waitForTimeout(1000);
  const state = await page.evaluate(() => fetch("/api/state").then((r) => r.json()));
  assert.equal(state.cameras[0].enabled, true);
});

await story("a name that was bent to this machine (DNS rebinding) is refused", async () => {
  const context = await browser.newContext();
  const bent = await context.newPage();
  const answer = await bent.goto(`http://evil.example:${port}/`);
  assert.equal(answer.status(), 421);
  assert.match(await bent.textContent("body"), /not known here/);
  await context.close();
});

await story("who logs out is out", async () => {
  await page.click("#leave button");
  await page.waitForSelector("#token");
  assert.equal((await page.request.get(`${address}api/state`)).status(), 401);
});

await story("no error, no foreign request, nothing against the policy", async () => assert.deepEqual(problems, []));

await end();
