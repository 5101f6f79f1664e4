// The browser, and helpers for the tests of the page.
// Environment: FERD_CHROMIUM (program), FERD_SHOTS (folder), FERD_NODE_MODULES; FERD_CLIP (what its fake camera shows).
import { createRequire } from "node:module";
import fs from "node:fs";

const require = createRequire(`${process.env.FERD_NODE_MODULES}/`);
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const shots = process.env.FERD_SHOTS;
export const problems = [];
fs.mkdirSync(shots, { recursive: true });

const clip = process.env.FERD_CLIP;
const camera = clip ? ["--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${clip}`] : [];
export const launch = (...more) => chromium.launch({
  executablePath: process.env.FERD_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.example 127.0.0.1", ...more],
});
export const browser = await launch(...camera);
let failed = 0;

export async function open(address, options = {}) {
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

export async function story(name, run) {
  try {
    await run();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}

export const until = (page, condition, timeout = 20000) => page.waitForFunction(condition, null, { timeout });
export const online = (page, timeout) => until(page, () => document.getElementById("status").textContent.startsWith("online"), timeout);
export const pictures = (page, timeout) => until(page, () => /pictures? per second/.test(document.getElementById("pace").textContent), timeout);

// What axe finds of impact "serious" or worse.
export async function serious(page, where) {
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

export async function end() {
  await browser.close();
  console.log(failed ? `${failed} stories failed` : "all stories passed");
  process.exit(failed ? 1 : 0);
}
