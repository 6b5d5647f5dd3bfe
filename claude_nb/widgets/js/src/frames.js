const SHARE = 1 / 4;
const CHEAP = 8; // milliseconds that every frame may cost

/** Draws at most once a frame, and rests after a costly frame so that the page stays with the reader. */
export class Frames {
  #draw;
  #scheduled = false;
  #restUntil = 0;

  constructor(draw) {
    this.#draw = draw;
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
    };
    painted.port2.postMessage(null);
  }
}
