// The line below a reply: what is going on and Stop while it streams, the facts when it is over.
import { create } from "./dom.js";
import { hasEnded } from "./session.js";

const PILLS = new Set(["badge", "stop", "error"]);
const TONES = new Set(["ok", "muted", "warn", "bad"]);
const WAITS = new Set(["connecting", "waiting", "retrying"]);
const SLOW_S = 3; // a wait that takes longer says how long it has taken
const ANSWER_MS = 300; // how long Stop waits for the kernel's answer before it interrupts

export class Bar {
  #doc;
  #text;
  #spoken;
  #footer;
  #phase = null;
  #interrupt;
  #ticking;

  /**
   * @param {() => void} askToStop asks the kernel's program to stop
   * @param {(() => void) | null} interrupt interrupts the kernel, where the page can
   */
  constructor(doc, askToStop, interrupt) {
    this.#doc = doc;
    this.#interrupt = interrupt;
    this.#text = create(doc, "span", "cnb-state");
    this.#spoken = create(doc, "span", "cnb-spoken");
    this.#spoken.setAttribute("role", "status");
    this.#spoken.setAttribute("aria-live", "polite");
    this.#footer = create(doc, "span", "cnb-footer");
    this.stop = create(doc, "button", "cnb-stop", "Stop");
    this.stop.type = "button";
    this.stop.setAttribute("aria-label", "Stop this reply");
    this.stop.addEventListener("click", () => this.#stop(askToStop));
    const spinner = create(doc, "span", "cnb-spinner");
    spinner.setAttribute("aria-hidden", "true");
    this.element = create(doc, "div", "cnb-bar", spinner, this.#text, this.stop, this.#footer, this.#spoken);
    this.element.hidden = true;
  }

  get ended() {
    return hasEnded({ phase: this.#phase });
  }

  state({ phase, text, seconds }) {
    clearInterval(this.#ticking);
    const ended = hasEnded({ phase });
    this.element.hidden = false;
    this.element.dataset.phase = phase;
    this.#text.textContent = phase === "done" ? "" : text;
    if (ended) this.stop.disabled = true;
    if (phase !== this.#phase) this.#spoken.textContent = text; // phases are announced, tokens are not
    this.#phase = phase;
    if (WAITS.has(phase)) this.#count(text, seconds);
  }

  /** Counts the seconds of a wait: down to the next try where it is known, else up. */
  #count(text, seconds) {
    const begun = Date.now();
    this.#ticking = setInterval(() => {
      if (!this.element.isConnected) return clearInterval(this.#ticking);
      const gone = Math.round((Date.now() - begun) / 1000);
      if (seconds) this.#text.textContent = text.replace(/in about \d+ s/, `in ${Math.max(0, Math.ceil(seconds - gone))} s`);
      else if (gone >= SLOW_S) this.#text.textContent = `${text} (${gone} s)`;
    }, 1000);
  }

  footer(chips) {
    this.element.hidden = false;
    this.#footer.replaceChildren();
    for (const [i, { kind, text, title, tone }] of chips.entries()) {
      if (i) this.#footer.append(" · ");
      const chip = create(this.#doc, "span", `cnb-${TONES.has(tone) ? tone : "muted"}`, text);
      if (PILLS.has(kind)) chip.classList.add("cnb-pill");
      if (title) chip.title = title;
      this.#footer.append(chip);
    }
  }

  /** The kernel's program has heard: no need to interrupt it, unless it is asked a second time. */
  acknowledge() {
    this.acknowledged = true;
    if (!this.ended && this.#interrupt) this.stop.disabled = false;
  }

  #stop(askToStop) {
    if (this.ended) return;
    this.stop.disabled = true;
    this.stop.textContent = "Stopping…";
    if (this.acknowledged) {
      this.#interrupt?.();
      return;
    }
    askToStop();
    setTimeout(() => {
      if (!this.acknowledged && !this.ended) this.#interrupt?.();
    }, ANSWER_MS);
  }
}
