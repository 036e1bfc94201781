import type { MeterValue } from "./api/types";
import type { PowerPoint } from "./live/cache";

type Sample = MeterValue["samples"][number];

/** Columns for a chart: seconds since 1970, W, Wh and percent; null where a reading did not carry a figure. */
export type Series = {
  time: number[];
  power: (number | null)[];
  energy: (number | null)[];
  soc: (number | null)[];
};

/** Stored meter values, then what came live after the last of them. */
export function toSeries(stored: MeterValue[], live: PowerPoint[]): Series {
  const series: Series = { time: [], power: [], energy: [], soc: [] };
  let baseEnergy: number | null = null;
  const ordered = stored.toSorted((a, b) => a.at.localeCompare(b.at));
  for (const value of ordered) {
    const register = scaled(total(value.samples, "Energy.Active.Import.Register"), 1000, "kWh");
    if (register !== null && baseEnergy === null) baseEnergy = register;
    const energy = register !== null && baseEnergy !== null ? register - baseEnergy : null;
    push(series, value.at, {
      power: scaled(total(value.samples, "Power.Active.Import"), 1000, "kW"),
      energy,
      soc: total(value.samples, "SoC")?.value ?? null,
    });
  }
  for (const point of live) {
    push(series, point.at, { power: point.powerW, energy: point.energyWh, soc: point.soc });
  }
  return series;
}

type Reading = { power: number | null; energy: number | null; soc: number | null };

/** Adds a reading; one at or before the last time joins what is there, since a chart's time only moves forward. */
function push(series: Series, at: string, reading: Reading): void {
  const time = Date.parse(at) / 1000;
  if (Number.isNaN(time) || (reading.power === null && reading.energy === null && reading.soc === null))
    return;
  const last = series.time.length - 1;
  const lastTime = series.time[last];
  if (lastTime !== undefined && time < lastTime) return;
  if (lastTime === time) {
    series.power[last] = reading.power ?? series.power[last] ?? null;
    series.energy[last] = reading.energy ?? series.energy[last] ?? null;
    series.soc[last] = reading.soc ?? series.soc[last] ?? null;
    return;
  }
  series.time.push(time);
  series.power.push(reading.power);
  series.energy.push(reading.energy);
  series.soc.push(reading.soc);
}

/** A measurand over all phases: the sample without a phase, or the sum of L1, L2 and L3 (also against N). */
function total(samples: Sample[], measurand: string): { value: number; unit: string } | null {
  const fitting = samples.filter(
    (s) => s.measurand === measurand && (!s.location || s.location === "Outlet" || s.location === "EV"),
  );
  const whole = fitting.find((s) => !s.phase);
  if (whole) return number(whole);
  const phases = fitting.filter((s) => /^L[123](-N)?$/.test(s.phase)).map(number);
  if (phases.length === 0) return null;
  let sum = 0;
  let unit = "";
  for (const phase of phases) {
    if (!phase) return null;
    sum += phase.value;
    unit = phase.unit;
  }
  return { value: sum, unit };
}

function number(sample: Sample): { value: number; unit: string } | null {
  const value = Number(sample.value);
  return Number.isFinite(value) ? { value, unit: sample.unit } : null;
}

function scaled(
  reading: { value: number; unit: string } | null,
  factor: number,
  bigUnit: string,
): number | null {
  if (!reading) return null;
  return reading.unit === bigUnit ? reading.value * factor : reading.value;
}
