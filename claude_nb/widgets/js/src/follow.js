const NEAR = 48; // pixels below the edge at which the reader still counts as being at the end

/** Keeps the end of the reply in sight while the reader is there, and never moves a reader who is not. */
export class Follower {
  #end;
  #around = []; // what may scroll, from the inside out
  #parent = null;

  constructor(end) {
    this.#end = end;
  }

  around(draw) {
    const before = this.#below();
    draw();
    if (before > NEAR) return;
    const after = this.#below();
    if (after > 0 && after > before) this.#scroller().scrollTop += after;
  }

  /** Pixels by which the end of the reply is below what the reader sees. */
  #below() {
    const scroller = this.#scroller();
    const page = scroller === this.#end.ownerDocument.scrollingElement;
    const edge = page ? scroller.clientHeight : scroller.getBoundingClientRect().bottom;
    return this.#end.getBoundingClientRect().bottom - edge;
  }

  /** The nearest element that has something to scroll by now: a notebook has not when it is new. */
  #scroller() {
    if (this.#parent !== this.#end.offsetParent) {
      this.#parent = this.#end.offsetParent;
      this.#around = scrollable(this.#end);
    }
    return this.#around.find((at) => at.scrollHeight > at.clientHeight) ?? this.#end.ownerDocument.scrollingElement;
  }
}

function scrollable(element) {
  const found = [];
  for (let at = element.parentElement; at; at = at.parentElement)
    if (/^(auto|scroll)$/.test(getComputedStyle(at).overflowY)) found.push(at);
  return found;
}
