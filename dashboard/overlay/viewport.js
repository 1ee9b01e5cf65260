// @ts-check
// Which part of the text is in sight, and when it has been painted. The browser is asked again only after something has
// moved: asked while elements are being changed it first lays all of them out, which takes longer than everything else
// that a change takes.

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

/** How far an element is from the top of the window where nothing is scrolled, in CSS pixels. @param {Element} element */
export function distanceFromTop(element) {
  return ancestorsOf(element).reduce((distance, above) => distance + above.scrollTop, element.getBoundingClientRect().top);
}

/** Everything that an element lies in, from the inside out. @param {Element} element @returns {Element[]} */
export function ancestorsOf(element) {
  const found = [];
  for (let above = parentOf(element); above !== null; above = parentOf(above)) found.push(above);
  return found;
}

/** @param {Element} element @returns {Element | null} */
function parentOf(element) {
  const root = element.getRootNode();
  return element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}

/** What can wait until the reader sees the change: done in a task of its own behind the next frame, and once only. */
export class AfterPaint {
  constructor() {
    /** @type {number | undefined} */ this.frame = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.task = undefined;
  }

  /** @param {() => void} work takes the place of what has not been begun */
  start(work) {
    this.stop();
    this.frame = requestAnimationFrame(() => { this.task = setTimeout(work, 0); });
  }

  stop() {
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    clearTimeout(this.task);
  }
}
