import type { QueryKey } from "@tanstack/react-query";

/** Collects keys and hands each out once, a while after the first was asked for: a throttle with a memory. */
export class Soon {
  private readonly wanted = new Map<string, QueryKey>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly delayMs: number;
  private readonly act: (key: QueryKey) => void;

  constructor(delayMs: number, act: (key: QueryKey) => void) {
    this.delayMs = delayMs;
    this.act = act;
  }

  ask(key: QueryKey): void {
    this.wanted.set(JSON.stringify(key), key);
    this.timer ??= setTimeout(() => this.flush(), this.delayMs);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wanted.clear();
  }

  private flush(): void {
    this.timer = undefined;
    const due = [...this.wanted.values()];
    this.wanted.clear();
    for (const key of due) this.act(key);
  }
}
