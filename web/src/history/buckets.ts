import type { Bucket } from "../api/types";
import { count, energy, power, tenths } from "../format";
import { locale, t } from "../texts";

export const resolutions = ["hour", "day", "month"] as const;
export type Resolution = (typeof resolutions)[number];
export const metrics = ["energy", "sessions", "charging", "power", "availability"] as const;
export type Metric = (typeof metrics)[number];

/** How many buckets one page of history shows. */
const lengths: Record<Resolution, number> = { hour: 48, day: 31, month: 12 };

/** A moment moved by whole buckets of UTC, at the beginning of a bucket. */
function step(at: Date, resolution: Resolution, by: number): Date {
  const [y, m, d, h] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  if (resolution === "hour") return new Date(Date.UTC(y, m, d, h + by));
  if (resolution === "day") return new Date(Date.UTC(y, m, d + by));
  return new Date(Date.UTC(y, m + by));
}

/** A page of history: from the beginning of its first bucket to the end of its last one. */
export type Span = { from: string; to: string; resolution: Resolution };

/** The span that ends with the current bucket, or so many spans before it. */
export function spanOf(resolution: Resolution, back: number, now: Date): Span {
  const end = step(now, resolution, 1 - back * lengths[resolution]);
  const from = step(end, resolution, -lengths[resolution]);
  return { from: from.toISOString(), to: end.toISOString(), resolution };
}

/** Every bucket of a span: those that the server leaves out are those in which nothing happened. */
export function filled(buckets: Bucket[], span: Span): Bucket[] {
  const known = new Map(buckets.map((b) => [Date.parse(b.at), b]));
  const out: Bucket[] = [];
  const end = Date.parse(span.to);
  for (let at = new Date(span.from); at.getTime() < end; at = step(at, span.resolution, 1))
    out.push(known.get(at.getTime()) ?? { at: at.toISOString() });
  return out;
}

/** The share of connector time, in percent, in which a driver could use or used it; null while nothing is known. */
export function availability(bucket: Bucket): number | null {
  const c = bucket.connectorMinutes;
  if (!c) return null;
  const usable = c.available + c.occupied + c.reserved;
  const all = usable + c.unavailable + c.faulted + c.offline;
  return all === 0 ? null : (usable / all) * 100;
}

/** A bucket's figure in the unit of its chart. */
export function figureOf(bucket: Bucket, metric: Metric): number | null {
  switch (metric) {
    case "energy":
      return (bucket.energyWh ?? 0) / 1000;
    case "sessions":
      return bucket.sessionsStarted ?? 0;
    case "charging":
      return (bucket.chargingMinutes ?? 0) / 60;
    case "power":
      return (bucket.peakPowerW ?? 0) / 1000;
    case "availability":
      return availability(bucket);
  }
}

/** A figure in words, from the unit of its chart. */
export function written(value: number | null, metric: Metric): string {
  if (value === null) return t.charts.unknown;
  switch (metric) {
    case "energy":
      return energy(value * 1000);
    case "sessions":
      return count(value);
    case "charging":
      return t.charts.hours(tenths(value));
    case "power":
      return power(value * 1000);
    case "availability":
      return `${tenths(value)} %`;
  }
}

/** What all buckets come to: sums where they add up, the highest power, the mean availability. */
export function summary(buckets: Bucket[], metric: Metric): string {
  if (metric === "power") {
    const most = Math.max(0, ...buckets.map((b) => figureOf(b, metric) ?? 0));
    return t.charts.most(written(most, metric));
  }
  if (metric === "availability") return t.charts.mean(written(meanAvailability(buckets), metric));
  const sum = buckets.reduce((all, b) => all + (figureOf(b, metric) ?? 0), 0);
  return t.charts.total(written(sum, metric));
}

/** Over the minutes of all buckets, not over their percentages: buckets may know of more or fewer connectors. */
function meanAvailability(buckets: Bucket[]): number | null {
  const all = { available: 0, occupied: 0, reserved: 0, unavailable: 0, faulted: 0, offline: 0 };
  for (const { connectorMinutes: c } of buckets) {
    if (!c) continue;
    for (const key of Object.keys(all) as (keyof typeof all)[]) all[key] += c[key];
  }
  return availability({ at: "", connectorMinutes: all });
}

const forms: Record<Resolution, Intl.DateTimeFormat> = {
  hour: new Intl.DateTimeFormat(locale, {
    timeZone: "UTC",
    day: "2-digit",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }),
  day: new Intl.DateTimeFormat(locale, { timeZone: "UTC", dateStyle: "medium" }),
  month: new Intl.DateTimeFormat(locale, { timeZone: "UTC", month: "long", year: "numeric" }),
};

/** A bucket's name, in UTC as its bounds are. */
export function nameOf(at: string, resolution: Resolution): string {
  return forms[resolution].format(new Date(at));
}

/** First and last bucket of a span in words. */
export function bounds(span: Span): { from: string; to: string } {
  const last = step(new Date(span.to), span.resolution, -1).toISOString();
  return { from: nameOf(span.from, span.resolution), to: nameOf(last, span.resolution) };
}
