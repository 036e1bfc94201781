import { beforeEach, expect, it, vi } from "vitest";
import { FakeEventSource } from "../test/api";
import type { LiveEvent } from "./events";
import { Recent } from "./recent";
import { Soon } from "./soon";
import { LiveStream } from "./stream";

beforeEach(() => FakeEventSource.install());

function started() {
  const seen = { batches: [] as LiveEvent[][], gaps: 0, states: [] as string[] };
  const stream = new LiveStream({
    onEvents: (events) => seen.batches.push(events),
    onGap: () => seen.gaps++,
    onState: (state) => seen.states.push(state),
  });
  stream.start();
  return { stream, seen };
}

it("hands on all events of an animation frame at once", () => {
  vi.useFakeTimers({ toFake: ["requestAnimationFrame", "cancelAnimationFrame"] });
  const { stream, seen } = started();
  const source = FakeEventSource.at("/events");
  source.open();
  for (const id of ["a", "b", "c"])
    source.push("station.online", { id, type: "station.online", station: id });
  expect(seen.batches).toEqual([]);
  vi.advanceTimersToNextFrame();
  expect(seen.batches.map((b) => b.map((e) => e.station))).toEqual([["a", "b", "c"]]);
  stream.stop();
  vi.useRealTimers();
});

it("opens a new stream when the browser gives up, and reports the gap once it is back", () => {
  vi.useFakeTimers();
  const { stream, seen } = started();
  const first = FakeEventSource.at("/events");
  first.open();
  first.fail(true);
  expect(seen.states).toEqual(["connecting", "live", "lost"]);
  vi.advanceTimersByTime(1000);
  const second = FakeEventSource.at("/events");
  expect(second).not.toBe(first);
  expect(seen.gaps).toBe(0);
  second.open();
  expect(seen.gaps).toBe(1);
  stream.stop();
  vi.useRealTimers();
});

it("leaves a short interruption to the browser, which resumes where it was", () => {
  vi.useFakeTimers();
  const { stream, seen } = started();
  const source = FakeEventSource.at("/events");
  source.open();
  source.fail(false);
  vi.advanceTimersByTime(60_000);
  expect(FakeEventSource.all).toHaveLength(1);
  source.open();
  expect(seen.gaps).toBe(0);
  stream.stop();
  vi.useRealTimers();
});

it("keeps recent events by place, also after the oldest went", () => {
  const recent = new Recent(3);
  const event = (id: string) => ({ id, type: "t", time: "", station: "", data: null });
  recent.add([event("a"), event("b")]);
  const mark = recent.mark();
  recent.add([event("c"), event("d"), event("e")]);
  expect(recent.since(mark).map((e) => e.id)).toEqual(["c", "d", "e"]);
  expect(recent.since(0).map((e) => e.id)).toEqual(["c", "d", "e"]);
  expect(recent.since(recent.mark())).toEqual([]);
});

it("hands out a key once however often it was asked for", () => {
  vi.useFakeTimers();
  const keys: unknown[] = [];
  const soon = new Soon(2000, (key) => keys.push(key));
  soon.ask(["a"]);
  soon.ask(["b", 1]);
  soon.ask(["a"]);
  vi.advanceTimersByTime(1999);
  expect(keys).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(keys).toEqual([["a"], ["b", 1]]);
  vi.useRealTimers();
});
