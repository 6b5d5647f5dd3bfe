const NEAR = 48; // pixels below the edge at which the reader still counts as being at the end

/** Keeps the end of the reply in sight while the reader is there, and never moves a reader who is not. */
export class Follower {
  #end;
  #scroller;

  constructor(end) {
    this.#end = end;
  }

  around(draw) {
    const before = this.#below();
    draw();
    if (before > NEAR || before === null) return;
    const after = this.#below();
    if (after > 0 && after > before) this.#scroller.scrollTop += after;
  }

  /** Pixels by which the end of the reply is below what the reader sees; null when it is not on the page. */
  #below() {
    if (!this.#end.isConnected) return null;
    if (!this.#scroller?.isConnected) this.#scroller = scrollerOf(this.#end);
    const page = this.#scroller === this.#end.ownerDocument.scrollingElement;
    const edge = page ? this.#scroller.clientHeight : this.#scroller.getBoundingClientRect().bottom;
    return this.#end.getBoundingClientRect().bottom - edge;
  }
}

function scrollerOf(element) {
  const { ownerDocument } = element;
  for (let at = element.parentElement; at; at = at.parentElement) {
    const { overflowY } = getComputedStyle(at);
    if ((overflowY === "auto" || overflowY === "scroll") && at.scrollHeight > at.clientHeight) return at;
  }
  return ownerDocument.scrollingElement;
}
