// Tests the page behind a proxy that strips a path prefix and shows it in a frame, as Home Assistant's ingress does.
// Run by scripts/test-page. Environment: FERD_PAGE (ferd's own address; it trusts 127.0.0.2), and harness.mjs's.
import http from "node:http";
import net from "node:net";
import assert from "node:assert/strict";
import { end, open, pictures, problems, shots, story, until } from "./harness.mjs";

const ferd = new URL(process.env.FERD_PAGE);
const prefix = "/api/hassio_ingress/a-token-of-the-session";
const outside = [], sockets = [];

const heads = (request, proxy) => ({
  ...request.headers, "x-ingress-path": prefix, "x-forwarded-host": proxy, "x-forwarded-proto": "http",
});

const server = http.createServer((request, response) => {
  if (request.url === "/") {
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><title>Home</title><h1>Home</h1><iframe src="${prefix}/" width="1140" height="780"></iframe>`);
    return;
  }
  if (!request.url.startsWith(`${prefix}/`)) {
    outside.push(request.url);
    response.writeHead(404).end();
    return;
  }
  const options = { host: ferd.hostname, port: ferd.port, localAddress: "127.0.0.2", method: request.method, path: request.url.slice(prefix.length), headers: heads(request, request.headers.host) };
  const forwarded = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  forwarded.on("error", () => response.destroy());
  request.pipe(forwarded);
});
server.on("upgrade", (request, socket, head) => {
  sockets.push(request.url);
  if (!request.url.startsWith(`${prefix}/`)) { outside.push(request.url); socket.destroy(); return; }
  const upstream = net.connect({ host: ferd.hostname, port: ferd.port, localAddress: "127.0.0.2" }, () => {
    const lines = Object.entries(heads(request, request.headers.host)).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    upstream.write(`GET ${request.url.slice(prefix.length)} HTTP/1.1\r\n${lines}\r\n`);
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  for (const one of [upstream, socket]) one.on("error", () => { upstream.destroy(); socket.destroy(); });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const home = `http://127.0.0.1:${server.address().port}/`;

await story("nobody but the proxy may open the page", async () => {
  const answer = await fetch(ferd);
  assert.equal(answer.status, 403);
  assert.match(await answer.text(), /through its proxy only/);
});

const page = await open(home);
const frame = () => page.frames().find((one) => one.url().includes(prefix));

await story("in the frame the page shows live values", async () => {
  await until(page, () => document.querySelector("iframe").contentDocument?.getElementById("status")?.textContent.startsWith("online"), 60000);
  await pictures(frame());
  await until(frame(), () => /\d %/.test(document.getElementById("bars").textContent));
  assert.ok(sockets.some((url) => url.startsWith(`${prefix}/api/live?`)), sockets.join());
  await page.screenshot({ path: `${shots}/ingress.png` });
});

await story("a change passes: the camera stops and starts", async () => {
  await frame().click("#power");
  await until(frame(), () => document.getElementById("status").textContent.startsWith("disabled"));
  await frame().click("#power");
  await until(frame(), () => document.getElementById("status").textContent.startsWith("online"), 60000);
});

await story("every view works", async () => {
  for (const view of ["time", "tune", "teach", "health"]) {
    await frame().click(`#tab-${view}`);
    await page.waitForTimeout(1000);
    assert.equal(await frame().locator("#error").isVisible(), false, view);
  }
  await page.screenshot({ path: `${shots}/ingress-health.png` });
});

await story("nothing is asked for outside of the prefix, and the policy is kept", async () => {
  assert.deepEqual(outside.filter((url) => url !== "/favicon.ico"), []);
  assert.deepEqual(problems, []);
});

server.close();
server.closeAllConnections();
await end();
