// A practice: asks for one gesture ASKED times, counts how often it was seen and what came unasked, and measures how
// strong the movements were, when asked and at rest. Times are those of the source, in seconds.

export const ASKED = 10;
const EVERY_S = 6, WINDOW_S = 4, LATE_S = 1; // who is asked late moves late: that second is neither asked nor rest

export class Practice {
  // `zero`: the strength of rest.
  constructor(name, zero) {
    Object.assign(this, { name, asked: 0, hits: 0, unasked: 0, due: null, hit: true, peaks: [], rest: zero, zero, isOver: false });
  }

  isOpen(t) {
    return this.asked > 0 && t - this.due <= WINDOW_S;
  }

  measure(t, strength) {
    if (strength === undefined || this.due === null) return;
    if (this.isOpen(t)) this.peaks[this.asked - 1] = Math.max(this.peaks[this.asked - 1], strength);
    else if (!this.asked || t - this.due > WINDOW_S + LATE_S) this.rest = Math.max(this.rest, strength);
  }

  seen(name, t) {
    if (this.isOpen(t) && !this.hit && name === this.name) [this.hits, this.hit] = [this.hits + 1, true];
    else this.unasked += 1;
  }

  // Returns what to say now.
  step(t) {
    this.due ??= t - EVERY_S / 2;
    const what = this.name.replaceAll("_", " ");
    if (t - this.due >= EVERY_S) {
      if (this.asked >= ASKED) {
        this.isOver = true;
        return "";
      }
      [this.asked, this.due, this.hit] = [this.asked + 1, t, false];
      this.peaks.push(this.zero);
    }
    const soFar = `${this.hits} of ${this.asked} seen, ${this.unasked} unasked`;
    if (this.isOpen(t)) return this.hit ? `Seen. ${soFar}.` : `Now: ${what}! (${this.asked} of ${ASKED})`;
    return this.asked ? `Rest. ${soFar}.` : "Sit as you will sit later, and rest.";
  }
}
