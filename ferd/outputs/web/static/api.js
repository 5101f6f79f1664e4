// What the page asks its server for. Errors carry what the server said.

export async function get(path) {
  return answer(await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store" }));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return answer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 401) location.assign("/login");
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(data.error || `the server answered ${response.status}`);
  return data;
}

// The live line. Opens again by itself, and is closed while nobody can see it: then nothing is encoded.
export class Line {
  constructor(onMessage, onState) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.wait = 500;
    document.addEventListener("visibilitychange", () => this.follow());
  }

  look(camera, picture) {
    this.camera = camera;
    this.picture = picture;
    this.close();
    this.follow();
  }

  follow() {
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
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = new URLSearchParams({ camera: this.camera, picture: this.picture ? "1" : "0" });
    const socket = new WebSocket(`${scheme}://${location.host}/api/live?${query}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = async (event) => {
      this.wait = 500;
      try {
        await this.take(event.data);
      } finally {
        if (socket.readyState === WebSocket.OPEN) socket.send("next");
      }
    };
    socket.onopen = () => this.onState(true);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.onState(false);
      this.timer = setTimeout(() => this.follow(), this.wait);
      this.wait = Math.min(this.wait * 1.7, 8000);
    };
  }

  async take(data) {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const jpeg = data.byteLength > 4 + length ? new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }) : null;
    await this.onMessage(head, jpeg && (await createImageBitmap(jpeg)));
  }
}
