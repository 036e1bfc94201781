import { t } from "../texts";

const hour = 3600;

/**
 * A period of the API, a Go duration such as 720h0m0s, or "forever", in words. What is not understood is shown as it
 * is.
 */
export function periodText(period: string): string {
  if (period === "forever") return t.installation.forever;
  const parts = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(period);
  if (!parts || period === "") return period;
  const [, h = "0", m = "0", s = "0"] = parts;
  const seconds = Number(h) * hour + Number(m) * 60 + Number(s);
  const days = seconds / (24 * hour);
  const years = Math.round(days / 365.25);
  // Years are said in days of 365, or with those of leap years.
  if (years >= 1 && (days === years * 365 || Math.abs(days - years * 365.25) < 1))
    return t.installation.years(years);
  if (Number.isInteger(days) && days > 1) return t.installation.days(days);
  if (seconds % hour === 0) return t.installation.hoursLong(seconds / hour);
  return period;
}
