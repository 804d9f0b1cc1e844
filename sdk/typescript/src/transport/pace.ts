/** How fast frames may follow each other, so that the broker never has to end the connection for it. */

/** Frames at once; the broker takes 2,000, and one gathering may be more than a frame. */
const BURST = 900;
/** Frames per second after that; the broker takes 500. */
const PER_SECOND = 400;

/** A budget of frames that fills up with time. */
export class Pace {
  #budget = BURST;
  #at: number;

  constructor(now: number) {
    this.#at = now;
  }

  /** How long until a frame may be sent, milliseconds; 0 for now. */
  wait(now: number): number {
    this.#budget = Math.min(BURST, this.#budget + ((now - this.#at) * PER_SECOND) / 1000);
    this.#at = now;
    return this.#budget >= 1 ? 0 : Math.ceil(((1 - this.#budget) * 1000) / PER_SECOND);
  }

  /** So many frames are sent. */
  spend(frames: number): void {
    this.#budget -= frames;
  }
}
