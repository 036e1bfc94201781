import { locale, t } from "./texts";

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredth = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const thousandth = new Intl.NumberFormat(locale, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const clock = new Intl.DateTimeFormat(locale, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayAndTime = new Intl.DateTimeFormat(locale, {
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const dayAndSecond = new Intl.DateTimeFormat(locale, {
  day: "2-digit",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const withZone = new Intl.DateTimeFormat(locale, {
  dateStyle: "medium",
  timeStyle: "long",
  hourCycle: "h23",
});
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always", style: "narrow" });

export const none = "–";

export function count(value: number): string {
  return whole.format(value);
}

/** A number with one decimal. */
export function tenths(value: number): string {
  return tenth.format(value);
}

/** Power from W. Below 1 kW in W, from there in kW. */
export function power(watts: number): string {
  const size = Math.abs(watts);
  if (size < 1000) return `${whole.format(watts)} W`;
  if (size < 1_000_000) return `${tenth.format(watts / 1000)} kW`;
  return `${hundredth.format(watts / 1_000_000)} MW`;
}

/** Energy from Wh, in kWh with two decimals, from 10 MWh on in MWh. */
export function energy(wattHours: number): string {
  const size = Math.abs(wattHours);
  if (size < 10_000_000) return `${(size < 100_000 ? hundredth : tenth).format(wattHours / 1000)} kWh`;
  return `${hundredth.format(wattHours / 1_000_000)} MWh`;
}

/** A reading of a meter, in kWh to the Wh: what is billed by is shown whole. */
export function exactEnergy(wattHours: number): string {
  return `${thousandth.format(wattHours / 1000)} kWh`;
}

/** A size in bytes, in the largest fitting unit of 1024. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const i = Math.min(units.length - 1, n < 1 ? 0 : Math.floor(Math.log2(n) / 10));
  return `${(i === 0 ? whole : tenth).format(n / 1024 ** i)} ${units[i]}`;
}

/** A number of seconds as h:mm:ss, or d h:mm:ss from one day on. */
export function span(seconds: number): string {
  return duration("1970-01-01T00:00:00Z", seconds * 1000);
}

/** Local time of day, with seconds. */
export function timeOfDay(iso: string): string {
  return clock.format(new Date(iso));
}

/** Local time of day with milliseconds: frames follow each other quickly. */
export function preciseTime(iso: string): string {
  const at = new Date(iso);
  return `${clock.format(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** Local day and minute; the zone stands in `fullTime`, which every time on a page carries as its title. */
export function shortTime(iso: string): string {
  return dayAndTime.format(new Date(iso));
}

/** Local day and second. */
export function secondTime(iso: string): string {
  return dayAndSecond.format(new Date(iso));
}

/** Local date and time with seconds and zone. */
export function fullTime(iso: string): string {
  return withZone.format(new Date(iso));
}

/** The browser's zone, for headings of columns with times. */
export function zone(): string {
  const part = new Intl.DateTimeFormat(locale, { timeZoneName: "short" })
    .formatToParts(new Date())
    .find((p) => p.type === "timeZoneName");
  return part?.value ?? "";
}

/** How long ago, in the largest fitting unit. */
export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (seconds < 5) return t.time.now;
  if (seconds < 60) return relative.format(-seconds, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86_400), "day");
}

/** A span as h:mm:ss, or d h:mm:ss from one day on. */
export function duration(fromIso: string, toMs: number): string {
  const total = Math.max(0, Math.floor((toMs - Date.parse(fromIso)) / 1000));
  const days = Math.floor(total / 86_400);
  const hours = Math.floor((total % 86_400) / 3600);
  const minutes = String(Math.floor((total % 3600) / 60)).padStart(2, "0");
  const seconds = String(total % 60).padStart(2, "0");
  return `${days > 0 ? `${days} d ` : ""}${hours}:${minutes}:${seconds}`;
}

/** JSON for reading: indented, or the text itself when it is not JSON. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
