/** The text of an event stream, cut into events. */

/** One event. */
export interface StreamEvent {
  id: string;
  name: string;
  data: string;
}

/** Characters that may wait for the end of their event. */
const LENGTH_MAX = 8 * 1024 * 1024;

/** Cuts `text/event-stream` into events, however it arrives. */
export class EventParser {
  #rest = "";
  #id = "";
  #name = "";
  #data: string[] = [];
  #length = 0;

  /** The events that end in this piece. @throws {Error} when an event does not end. */
  feed(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "" || line === "\r") this.#dispatch(events);
      else this.#line(line.replace(/\r$/, ""));
    }
    if (this.#rest.length + this.#length > LENGTH_MAX) throw new Error("an event is too long");
    return events;
  }

  #line(line: string): void {
    const colon = line.indexOf(":");
    const [field, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "id") this.#id = value;
    if (field === "event") this.#name = value;
    if (field !== "data") return;
    this.#data.push(value);
    this.#length += value.length;
  }

  #dispatch(events: StreamEvent[]): void {
    if (this.#data.length > 0) {
      events.push({ id: this.#id, name: this.#name || "message", data: this.#data.join("\n") });
    }
    [this.#name, this.#data, this.#length] = ["", [], 0];
  }
}
