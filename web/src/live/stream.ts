import { base } from "../api/client";
import { eventTypes, type LiveEvent } from "./events";

export type LinkState = "connecting" | "live" | "lost";

/** A page that nobody looks at keeps its stream this long: browsers allow only six connections to one host. */
const hiddenGraceMs = 30_000;
const firstRetryMs = 1000;
const longestRetryMs = 20_000;

type Options = {
  onEvents: (events: LiveEvent[]) => void;
  /** Called when the stream is back after a gap that it cannot make up for itself. */
  onGap: () => void;
  onState: (state: LinkState) => void;
  open?: (url: string) => EventSource;
};

/**
 * The one stream of live events. The browser reconnects by itself and resumes with Last-Event-ID; when it gives up
 * (the server refused, or was away for long) this opens a new one and reports a gap. Events are handed on once per
 * animation frame, however many came.
 */
export class LiveStream {
  private source: EventSource | undefined;
  private batch: LiveEvent[] = [];
  private frame = 0;
  private retryMs = firstRetryMs;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  private gap = false;
  private readonly options: Options;

  constructor(options: Options) {
    this.options = options;
  }

  start(): void {
    document.addEventListener("visibilitychange", this.visibility);
    this.connect();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.visibility);
    clearTimeout(this.hiddenTimer);
    this.close();
  }

  private connect(): void {
    this.close();
    this.options.onState("connecting");
    const open = this.options.open ?? ((url: string) => new EventSource(url));
    const source = open(`${base}/events`);
    this.source = source;
    source.onopen = () => {
      this.retryMs = firstRetryMs;
      this.options.onState("live");
      if (this.gap) this.options.onGap();
      this.gap = false;
    };
    source.onerror = () => {
      this.options.onState("lost");
      if (source.readyState !== EventSource.CLOSED) return;
      this.gap = true;
      this.retryTimer = setTimeout(() => this.connect(), this.retryMs);
      this.retryMs = Math.min(longestRetryMs, this.retryMs * 2);
    };
    for (const type of eventTypes) {
      source.addEventListener(type, (message) => this.receive(type, message as MessageEvent<string>));
    }
  }

  private receive(type: string, message: MessageEvent<string>): void {
    const event = parse(type, message);
    if (!event) return;
    this.batch.push(event);
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.flush());
    // A hidden page gets no animation frames: its batch may not grow without end.
    if (this.batch.length > 1000) this.flush();
  }

  private flush(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const events = this.batch;
    this.batch = [];
    if (events.length > 0) this.options.onEvents(events);
  }

  private close(): void {
    clearTimeout(this.retryTimer);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.batch = [];
    this.source?.close();
    this.source = undefined;
  }

  private readonly visibility = (): void => {
    clearTimeout(this.hiddenTimer);
    if (document.visibilityState === "hidden") {
      this.hiddenTimer = setTimeout(() => {
        this.gap = true;
        this.close();
      }, hiddenGraceMs);
      return;
    }
    if (!this.source) this.connect();
  };
}

/** An event without readable data still says that something happened; only `resync` may come without. */
function parse(type: string, message: MessageEvent<string>): LiveEvent | undefined {
  try {
    const event = JSON.parse(message.data) as Partial<LiveEvent>;
    return {
      id: event.id ?? message.lastEventId,
      type,
      time: event.time ?? new Date().toISOString(),
      station: event.station ?? "",
      data: event.data ?? null,
    };
  } catch {
    return type === "resync" ? { id: "", type, time: "", station: "", data: null } : undefined;
  }
}
