// The camera of the device that shows the page: asks for it, and sends a picture to ferd whenever ferd asks for one.

import { $, clock, text } from "./dom.js";
import { post } from "./api.js";

const PROBLEMS = { NotAllowedError: "refused", SecurityError: "refused", NotReadableError: "busy", AbortError: "busy",
  NotFoundError: "missing", OverconstrainedError: "missing" };
const WORDS = {
  refused: "The browser did not give its camera to this page. Allow it, with the sign beside the address or in the browser's settings, and press Start.",
  busy: "Another program uses the camera of this device. Close it, and press Start.",
  missing: "The browser finds no camera on this device. Plug one in, and press Start, or open this page on another device.",
  lost: "The camera is gone: unplugged, or no longer allowed. Press Start when it is back.",
  off: "The camera was switched off. Press Start to use it again.",
  stopped: "Stopped: the camera of this device is closed.",
};
const insecure = () => `Browsers give a page the camera only over https, or on the machine itself. This page was opened as ${location.origin}. ` +
  `On this device run "ssh -L ${location.port || 80}:localhost:${location.port || 80} ${location.hostname}" and open http://localhost:${location.port || 80}/, or put a proxy with TLS in front of ferd: docs/page.md.`;
const QUALITY = 0.8, LEAST_QUALITY = 0.3;

export class OwnCamera {
  // `onChange` is called when there is something new to show.
  constructor(onChange) {
    Object.assign(this, { onChange, video: $("own-video"), canvas: document.createElement("canvas"), retryMs: 500 });
    this.reset();
    document.addEventListener("visibilitychange", () => this.onVisibility());
    $("own-start").addEventListener("click", () => this.start(this.shown));
    $("own-stop").addEventListener("click", () => this.stop("stopped"));
  }

  reset() {
    Object.assign(this, { camera: null, stream: null, socket: null, wish: null, isAsked: false, message: "", sent: 0 });
  }

  // Shows what there is to do for this camera; `one` and `cameras` as in the server's state.
  show(one, cameras) {
    this.shown = one;
    if (this.camera && !cameras.find(({ name }) => name === this.camera)?.browser) this.stop("stopped");
    $("own").hidden = !one.browser;
    if (!one.browser) return;
    const isMine = this.camera === one.name, other = isMine ? null : one.sender;
    $("own-start").hidden = isMine;
    $("own-stop").hidden = !isMine;
    text($("own-start"), other ? "Take over with this device's camera" : "Start this device's camera");
    this.video.hidden = !this.stream;
    const since = other && `${other.who} sends the pictures of this camera since ${clock(other.since, false)}.`;
    const rest = other ? `${since} One browser at a time sends.`
      : one.enabled ? `ferd reads the camera of the device that shows this page. Its pictures go from this browser to ferd on ${location.hostname}, nowhere else.`
        : "This camera is switched off. Start switches it on.";
    text($("own-text"), this.message || rest);
  }

  say(message) {
    this.message = message;
    this.onChange();
  }

  async start(one) {
    const isTaken = Boolean(one.sender);
    this.stop();
    this.camera = one.name;
    if (!window.isSecureContext || !navigator.mediaDevices) return this.give("insecure", isTaken);
    this.say("Allow the camera, if the browser asks.");
    try {
      if (!one.enabled) await post(`/api/cameras/${one.name}/enabled`, { value: true });
      // Nobody is interrupted before there is a camera to take over with.
      if (isTaken) await this.open({});
    } catch (error) {
      return this.give(error);
    }
    if (this.camera === one.name) this.connect(isTaken, one.enabled ? 0 : 1000);
    return undefined;
  }

  // Closes the camera and the connection. `word` is what the server is to know of it.
  stop(word) {
    clearTimeout(this.timer);
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.video.srcObject = null;
    this.tell(word);
    this.socket?.close();
    this.reset();
    if (word) this.say(WORDS[word] ?? "");
  }

  // Gives up, with the reason on the page and for ferd.
  give(problem, isTaken = false) {
    const word = typeof problem === "string" ? problem : (PROBLEMS[problem.name] ?? "failed");
    const words = word === "insecure" ? insecure() : (WORDS[word] ?? `The camera cannot be used: ${problem.message || problem.name}`);
    const camera = this.camera;
    if (!this.socket && camera && !isTaken) this.report(camera, word);
    this.stop(word);
    this.say(words);
  }

  tell(word) {
    if (word && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ state: word }));
  }

  // Tells ferd of a problem that came before there was a connection.
  report(camera, word) {
    const socket = new WebSocket(address(camera, false));
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).kind === "go") socket.send(JSON.stringify({ state: word }));
      socket.close();
    };
  }

  connect(take, delayMs = 0) {
    const camera = this.camera;
    this.timer = setTimeout(() => {
      if (this.camera !== camera) return;
      const socket = new WebSocket(address(camera, take));
      this.socket = socket;
      socket.onmessage = ({ data }) => { if (this.socket === socket) this.receive(JSON.parse(data)); };
      socket.onclose = () => {
        if (this.socket !== socket) return;
        this.socket = null;
        this.isAsked = false;
        this.say("No connection to ferd. Reconnecting …");
        this.connect(false, this.retryMs);
        this.retryMs = Math.min(this.retryMs * 1.7, 8000);
      };
    }, delayMs);
  }

  async receive(message) {
    if (message.kind === "next") return this.ask();
    if (message.kind === "go") return this.begin(message);
    this.stop();
    if (message.kind === "busy") this.say(`${message.by} sends the pictures of this camera since ${clock(message.since, false)}. One browser at a time sends.`);
    if (message.kind === "taken") this.say(`${message.by} took over. The camera of this device is closed.`);
    if (message.kind === "off") this.say(WORDS.off);
    if (message.kind === "bad") this.say(`ferd refused a picture: ${message.error}`);
    if (message.kind === "busy" || message.kind === "taken") setTimeout(() => { this.message = ""; }, 10000);
    return undefined;
  }

  async begin(wish) {
    this.wish = wish;
    this.retryMs = 500;
    const socket = this.socket;
    if (!this.stream) {
      this.tell("asking");
      try {
        await this.open(wish);
      } catch (error) {
        if (this.socket === socket) this.give(error);
        return;
      }
      if (this.socket !== socket) return; // stopped meanwhile; `open` closed what it got
    }
    this.due = performance.now();
    this.say("The camera of this device is on, and its pictures go to ferd.");
    if (document.hidden) this.tell("hidden");
    this.ask();
  }

  async open({ width, height, fps }) {
    const camera = this.camera;
    const ideal = (value) => (value ? { ideal: value } : undefined);
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: "user", width: ideal(width), height: ideal(height), frameRate: ideal(fps) },
    });
    if (this.camera !== camera) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    stream.getVideoTracks()[0].onended = () => this.give("lost");
    this.video.srcObject = stream;
    await this.video.play();
  }

  onVisibility() {
    if (!this.stream || !this.socket) return;
    if (document.hidden) this.tell("hidden");
    else if (this.isAsked) this.ask();
  }

  // ferd wants a picture: the newest one there is when it is due.
  ask() {
    this.isAsked = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), Math.max(0, this.due - performance.now()));
  }

  async send() {
    const { socket, video, wish, canvas } = this;
    if (!socket || !this.isAsked || document.hidden) return; // `onVisibility` goes on
    if (!video.videoWidth) {
      this.timer = setTimeout(() => this.send(), 50);
      return;
    }
    const interval = 1000 / wish.fps, now = performance.now();
    this.due = Math.max(this.due, now - interval) + interval;
    const scale = Math.min(1, wish.width / video.videoWidth, wish.height / video.videoHeight);
    [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    let blob = null;
    for (let quality = QUALITY; quality >= LEAST_QUALITY && !(blob && blob.size <= wish.max_bytes); quality -= 0.1) {
      blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
      if (!blob) return this.give("failed");
    }
    if (this.socket !== socket || socket.readyState !== WebSocket.OPEN) return;
    this.isAsked = false;
    this.sent += 1;
    socket.send(blob);
  }
}

function address(camera, take) {
  const url = new URL("api/camera", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams(take ? { camera, take: 1 } : { camera });
  return url;
}
