import type { LiveEvent } from "./events";

/**
 * The last events, so that an answer which was on its way while they came can be brought up to date: without this
 * a slow listing would overwrite what happened since it was asked for.
 */
export class Recent {
  private events: LiveEvent[] = [];
  private first = 0;
  private readonly size: number;

  constructor(size = 5000) {
    this.size = size;
  }

  add(events: LiveEvent[]): void {
    this.events.push(...events);
    const surplus = this.events.length - this.size;
    if (surplus > 0) {
      this.events.splice(0, surplus);
      this.first += surplus;
    }
  }

  /** A place in the stream, to be handed to `since`. */
  mark(): number {
    return this.first + this.events.length;
  }

  since(mark: number): LiveEvent[] {
    return this.events.slice(Math.max(0, mark - this.first));
  }
}

export const recent = new Recent();
