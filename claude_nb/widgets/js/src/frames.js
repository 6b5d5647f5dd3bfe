const SHARE = 1 / 4;
const CHEAP = 8; // milliseconds that every frame may cost

/** Draws at most once a frame, and rests after a costly frame so that the page stays with the reader. */
export class Frames {
  #draw;
  #pace;
  #scheduled = false;
  #restUntil = 0;

  /** @param {(milliseconds: number) => void} pace is told how often there is time to draw */
  constructor(draw, pace = () => {}) {
    this.#draw = draw;
    this.#pace = pace;
  }

  /** @param {boolean} last the text is complete: no reason to rest */
  request(last = false) {
    if (last) this.#restUntil = 0;
    else if (this.#scheduled) return;
    this.#scheduled = true;
    const frame = () => requestAnimationFrame(() => this.#run());
    const rest = this.#restUntil - performance.now();
    if (rest > 0) setTimeout(frame, rest);
    else frame();
  }

  #run() {
    this.#scheduled = false;
    const start = performance.now();
    this.#draw();
    const painted = new MessageChannel(); // answers after layout and paint, which are most of the cost
    painted.port1.onmessage = () => {
      painted.port1.close();
      const cost = performance.now() - start;
      if (cost > CHEAP) this.#restUntil = start + cost / SHARE;
      this.#pace(cost > CHEAP ? cost / SHARE : 0);
    };
    painted.port2.postMessage(null);
  }
}
