import { useSyncExternalStore } from "react";
import { ago, duration, fullTime, none, preciseTime, secondTime, shortTime, timeOfDay } from "../format";

/** One clock for the whole page, ticking once a second while somebody looks at it. */
const clock = (() => {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    subscribe(listener: () => void) {
      listeners.add(listener);
      timer ??= setInterval(() => {
        now = Date.now();
        for (const each of listeners) each();
      }, 1000);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
    read: () => now,
    /** Changes only every `stepMs`, so that slow texts do not render each second. */
    readCoarse: (stepMs: number) => () => Math.ceil(now / stepMs) * stepMs,
  };
})();

export function useNow(): number {
  return useSyncExternalStore(clock.subscribe, clock.read);
}

type Form = "short" | "seconds" | "clock" | "precise" | "full" | "ago";

/** A time in the browser's zone; the full form with the zone shows on hover. */
export function Time({ at, form = "short" }: { at: string | null | undefined; form?: Form }) {
  if (!at || Number.isNaN(Date.parse(at))) return <>{none}</>;
  return (
    <time dateTime={at} title={fullTime(at)} className="num">
      {form === "ago" ? <Ago at={at} /> : written(at, form)}
    </time>
  );
}

function written(at: string, form: Form): string {
  switch (form) {
    case "clock":
      return timeOfDay(at);
    case "seconds":
      return secondTime(at);
    case "precise":
      return preciseTime(at);
    case "full":
      return fullTime(at);
    default:
      return shortTime(at);
  }
}

const coarse = clock.readCoarse(5000);

function Ago({ at }: { at: string }) {
  const now = useSyncExternalStore(clock.subscribe, coarse);
  return <>{ago(at, now)}</>;
}

/** How long something took, or has taken so far. */
export function Duration({ from, to }: { from: string; to: string | null }) {
  return <span className="num">{to ? duration(from, Date.parse(to)) : <Running from={from} />}</span>;
}

function Running({ from }: { from: string }) {
  return <>{duration(from, useNow())}</>;
}
