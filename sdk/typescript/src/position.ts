/** A place in a topic: the last message that a reader has seen. */

import { Code } from "./code.js";
import { SampanError } from "./error.js";

/** The last message of a topic that a reader has seen. */
export interface Position {
  epoch: number;
  offset: number;
}

const TEXT = /^([0-9]+):([0-9]+)$/;

/** The position behind `EPOCH:OFFSET`; `undefined` for any other text. */
export function parsePosition(text: string): Position | undefined {
  const found = TEXT.exec(text);
  if (!found) return undefined;
  const position = { epoch: Number(found[1]), offset: Number(found[2]) };
  const isExact = Number.isSafeInteger(position.epoch) && Number.isSafeInteger(position.offset);
  return isExact ? position : undefined;
}

/** The text of a position. */
export function positionText(position: Position): string {
  return `${position.epoch}:${position.offset}`;
}

/** The position behind a text. @throws {SampanError} when it is none. */
export function checkedPosition(text: string): Position {
  const position = parsePosition(text);
  if (position) return position;
  const shown = JSON.stringify(text.slice(0, 64));
  throw new SampanError("invalid", `${shown} is no position; one is EPOCH:OFFSET`, { code: Code.BAD_TOPIC });
}
