// Requests to the server. An error carries the message that the server sent.

// Relative to the page, which a proxy may serve below a path of its own, such as Home Assistant's ingress.
const address = (path) => new URL(`.${path}`, document.baseURI);

export async function get(path) {
  return answer(await fetch(address(path), { headers: { Accept: "application/json" }, cache: "no-store" }));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return answer(await fetch(address(path), { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 401) location.assign(address("/login"));
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(data.error || `the server answered with status ${response.status}`);
  return data;
}

// The live connection. It reconnects by itself, and is closed while the page is hidden: then nothing is encoded.
export class LiveConnection {
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.retryMs = 500;
    document.addEventListener("visibilitychange", () => this.update());
  }

  watch(camera, picture) {
    this.camera = camera;
    this.picture = picture;
    this.close();
    this.update();
  }

  update() {
    if (document.hidden) this.close();
    else if (!this.socket && this.camera) this.open();
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  open() {
    const query = new URLSearchParams({ camera: this.camera, picture: this.picture ? "1" : "0" });
    const url = address(`/api/live?${query}`);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = async (event) => {
      this.retryMs = 500;
      try {
        await this.receive(event.data);
      } finally {
        if (socket.readyState === WebSocket.OPEN) socket.send("next");
      }
    };
    socket.onopen = () => this.onState(true);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.onState(false);
      this.timer = setTimeout(() => this.update(), this.retryMs);
      this.retryMs = Math.min(this.retryMs * 1.7, 8000);
    };
  }

  async receive(data) {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const jpeg = data.byteLength > 4 + length ? new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }) : null;
    await this.onMessage(head, jpeg && (await createImageBitmap(jpeg)));
  }
}
