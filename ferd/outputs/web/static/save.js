// A change to ferd.toml: shown before it is written, or for a change by hand where ferd may not write the file.

import { el } from "./dom.js";
import { post } from "./api.js";

export class Saving {
  // `changes` gives the settings to save; `status` shows a message; `done` is called after the file was written.
  constructor(root, { changes, status, done }) {
    Object.assign(this, { root, changes, status, done });
  }

  hide() {
    this.root.hidden = true;
  }

  async show() {
    const body = this.changes();
    await this.attempt(async () => {
      const answer = await post("/api/tune/diff", body);
      this.root.hidden = !answer.diff;
      this.status(answer.diff ? "" : "The file already has these settings.");
      if (answer.diff) this.root.replaceChildren(patch(answer.diff), ...(answer.writable ? [this.writeButton(body, answer)] : byHand(answer)));
    });
  }

  writeButton(body, { base }) {
    const button = el("button", { type: "button", class: "write" }, "Write the file");
    button.addEventListener("click", () => this.attempt(async () => {
      const { file } = await post("/api/tune/save", { ...body, base });
      this.hide();
      await this.done(`Written to ${file} and in use.`);
    }));
    return button;
  }

  async attempt(action) {
    try {
      await action();
    } catch (error) {
      this.status(error.message);
    }
  }
}

function patch(diff) {
  return el("pre", { class: "patch", tabindex: "0", role: "region", "aria-label": "Change to ferd.toml" }, ...diff.split("\n").map(patchLine));
}

function patchLine(line) {
  const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
  return el("span", { class: kind }, `${line}\n`);
}

function byHand({ file, lines, commands }) {
  if (!commands) {
    return [
      el("p", { class: "by-hand" }, `ferd may not write ${file}, which belongs to the container. Put these keys into the ferd.toml that you mount there (for the Home Assistant add-on: into ferd.toml in its folder of addon_configs), and restart it.`),
      copyBox("Keys to copy", lines),
    ];
  }
  return [
    el("p", { class: "by-hand" }, `ferd may not write ${file}: the service cannot change its own configuration. Make the change by hand: put these keys into their sections.`),
    copyBox("Keys to copy", lines), copyBox("Commands to copy", commands),
    el("p", { class: "quiet" }, "A mistake in the file is safe: ferd keeps its settings and reports the error in its log. To try the settings without the file, press Use."),
  ];
}

function copyBox(label, words) {
  const box = el("div", { class: "copied" }, el("pre", { tabindex: "0", role: "region", "aria-label": label }, words));
  if (!navigator.clipboard) return box; // browsers offer it over TLS and on this machine only
  const button = el("button", { type: "button", class: "plain" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(words).catch(() => getSelection().selectAllChildren(box.firstChild));
    button.textContent = "Copied";
  });
  box.append(button);
  return box;
}
