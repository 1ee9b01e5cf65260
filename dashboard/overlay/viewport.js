// @ts-check
// Which part of the text is in sight. The browser is asked again only after something has moved: asked while elements are
// being changed it first lays all of them out, which takes longer than everything else that a change takes.

export class Viewport {
  /** @param {HTMLElement} scroller */
  constructor(scroller) {
    this.scroller = scroller;
    /** @type {{top: number, height: number} | null} in CSS pixels */ this.known = null;
  }

  get top() {
    return this.place().top;
  }

  get height() {
    return this.place().height;
  }

  place() {
    this.known ??= { top: this.scroller.scrollTop, height: this.scroller.clientHeight };
    return this.known;
  }

  /** The reader scrolled, or what can be scrolled has another size. */
  moved() {
    this.known = null;
  }

  /** @param {number} top how far that goes the browser decides */
  scrollTo(top) {
    this.scroller.scrollTop = top;
    this.moved();
  }
}
