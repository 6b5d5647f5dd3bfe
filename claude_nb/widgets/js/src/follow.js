const NEAR = 48; // pixels below the edge at which the reader still counts as being at the end

/** Keeps the end of the reply in sight while the reader is there, and never moves a reader who is not. */
export class Follower {
  #end;
  #around = []; // what may scroll, from the inside out
  #parent = null;
  #following = false;
  #top = 0; // where this class or the reader has scrolled to

  constructor(end) {
    this.#end = end;
  }

  around(draw) {
    const scroller = this.#scroller();
    // The end may move while nothing is drawn, when a block out of sight gets its true height: only a reader who
    // scrolls back has left.
    if (scroller.scrollTop < this.#top) this.#following = false;
    if (this.#below(scroller) <= NEAR) this.#following = true;
    draw();
    const below = this.#below(scroller);
    if (this.#following && below > 0) scroller.scrollTop += below;
    this.#top = scroller.scrollTop;
  }

  /** Pixels by which the end of the reply is below what the reader sees. */
  #below(scroller) {
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
