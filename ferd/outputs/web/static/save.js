// A change to ferd.toml: shown before it is written, or to be made by hand where ferd may not write its own file.

import { el } from "./dom.js";
import { post } from "./api.js";

export class Saving {
  // `changes` gives what is to be saved; `said` shows a sentence; `done` is called once it is written.
  constructor(root, { changes, said, done }) {
    Object.assign(this, { root, changes, said, done });
  }

  hide() {
    this.root.hidden = true;
  }

  async show() {
    const body = this.changes();
    await this.attempt(async () => {
      const answer = await post("/api/tune/diff", body);
      this.root.hidden = !answer.diff;
      this.said(answer.diff ? "" : "Nothing would change in the file: it says so already.");
      if (answer.diff) this.root.replaceChildren(patch(answer.diff), ...(answer.writable ? [this.writeButton(body, answer)] : byHand(answer)));
    });
  }

  writeButton(body, { base }) {
    const button = el("button", { type: "button", class: "write" }, "Write it");
    button.addEventListener("click", () => this.attempt(async () => {
      const { file } = await post("/api/tune/save", { ...body, base });
      this.hide();
      await this.done(`Written to ${file}, and in use.`);
    }));
    return button;
  }

  async attempt(deed) {
    try {
      await deed();
    } catch (error) {
      this.said(error.message);
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

function byHand({ file, lines }) {
  return [
    el("p", { class: "by-hand" }, `ferd may not write ${file}: a service does not change its own configuration. Make the change by hand, with these keys in their sections:`),
    copied("Keys to be copied", lines), copied("Commands to be copied", `sudoedit ${file}\nsudo systemctl reload ferd\n`),
    el("p", { class: "quiet" }, "A mistake breaks nothing: ferd then keeps what it has, and its log says what is wrong. Until then, Use tries it without the file."),
  ];
}

function copied(label, words) {
  const box = el("div", { class: "copied" }, el("pre", { tabindex: "0", role: "region", "aria-label": label }, words));
  if (!navigator.clipboard) return box; // only over TLS and on this machine
  const button = el("button", { type: "button", class: "plain" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(words).catch(() => getSelection().selectAllChildren(box.firstChild));
    button.textContent = "Copied";
  });
  box.append(button);
  return box;
}
