/** Finds the first of several texts in a text that comes in pieces, and holds back what may be the beginning of one. */

export class StopTexts {
  readonly #stops: readonly string[];
  /** What is held back. */
  #held = '';
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether one of the texts has come; then nothing more is given. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What of the text may be given now: none of it belongs to a stop text. */
  add(piece: string): string {
    if (this.#stopped || piece === '') return '';
    const text = this.#held + piece;
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#stopped = true;
      this.#held = '';
      return text.slice(0, Math.min(...found));
    }
    const held = Math.max(0, ...this.#stops.map((stop) => beginning(text, stop)));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }

  /** What was held back, once no more comes. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/** How many characters at the end of the text are the beginning of `stop`. */
function beginning(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
