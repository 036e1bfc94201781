import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { none, power } from "../format";
import type { Series } from "../series";
import { t } from "../texts";
import { fonts } from "../theme";
import css from "./parts.module.css";

const colours = {
  light: {
    power: "#1f7ed0",
    fill: "#1f7ed022",
    energy: "#1f9254",
    soc: "#8656cf",
    text: "#55615f",
    grid: "#e6ebea",
  },
  dark: {
    power: "#4fa3ea",
    fill: "#4fa3ea26",
    energy: "#43b876",
    soc: "#a47de0",
    text: "#a3afb4",
    grid: "#262f33",
  },
};

type Props = { series: Series; height?: number; small?: boolean };

/** Power over time, with energy and state of charge where there is room. */
export default function PowerChart({ series, height = 240, small = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme("light");
  const hasSoc = !small && series.soc.some((v) => v !== null);

  // The plot is made once per look and size; new data goes into it below. Its first data comes from the ref, so
  // that data does not make it anew.
  const latest = useRef(toData(series, small, hasSoc));
  latest.current = toData(series, small, hasSoc);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(
      options(scheme, element.clientWidth, height, small, hasSoc),
      latest.current,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, height, small, hasSoc]);

  useEffect(() => {
    plot.current?.setData(toData(series, small, hasSoc));
  }, [series, small, hasSoc]);

  const c = colours[scheme];
  const last = series.power.findLast((v) => v !== null);
  return (
    <div>
      {!small && (
        <div className={css.legend} aria-hidden="true">
          <span style={{ "--swatch": c.power } as React.CSSProperties}>{t.session.power} (kW)</span>
          <span style={{ "--swatch": c.energy } as React.CSSProperties}>{t.session.energy} (kWh)</span>
          {hasSoc && <span style={{ "--swatch": c.soc } as React.CSSProperties}>{t.session.soc} (%)</span>}
        </div>
      )}
      <div
        ref={box}
        className={css.chart}
        role="img"
        aria-label={`${t.session.chartLabel(series.time.length)}. ${t.session.power}: ${last == null ? none : power(last)}`}
      />
    </div>
  );
}

function toData(series: Series, small: boolean, hasSoc: boolean): uPlot.AlignedData {
  const kilo = (v: number | null) => (v === null ? null : v / 1000);
  const columns: uPlot.AlignedData = [series.time, series.power.map(kilo)];
  if (!small) columns.push(series.energy.map(kilo));
  if (hasSoc) columns.push(series.soc);
  return columns;
}

function options(
  scheme: "light" | "dark",
  width: number,
  height: number,
  small: boolean,
  hasSoc: boolean,
): uPlot.Options {
  const c = colours[scheme];
  const font = `11px ${fonts}`;
  const axis = { stroke: c.text, font, grid: { stroke: c.grid, width: 1 }, ticks: { show: false } };
  const fromZero: uPlot.Range.Function = (_plot, min, max) => {
    const top = Math.max(max ?? 0, small ? 0.1 : 1);
    return [Math.min(0, (min ?? 0) * 1.1), top * 1.12];
  };
  const series: uPlot.Series[] = [
    {},
    { scale: "kW", stroke: c.power, fill: c.fill, width: 1.8, points: { show: false }, spanGaps: true },
  ];
  const axes: uPlot.Axis[] = [
    { ...axis, grid: { show: false }, space: small ? 90 : 60 },
    { ...axis, scale: "kW", size: 44, space: small ? 26 : 34 },
  ];
  if (!small) {
    series.push({ scale: "kWh", stroke: c.energy, width: 1.8, points: { show: false }, spanGaps: true });
    axes.push({ ...axis, scale: "kWh", side: 1, size: 48, grid: { show: false } });
  }
  if (hasSoc) {
    series.push({
      scale: "%",
      stroke: c.soc,
      width: 1.5,
      dash: [5, 4],
      points: { show: false },
      spanGaps: true,
    });
  }
  return {
    width: Math.max(120, width),
    height,
    series,
    axes,
    scales: { kW: { range: fromZero }, kWh: { range: fromZero }, "%": { range: [0, 100] } },
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    padding: small ? [8, 6, 0, 0] : [12, 4, 0, 0],
    // The axis follows the clock that people there have on the wall.
    fmtDate: (template) => {
      const twelve = uPlot.fmtDate(template.replaceAll("{h}", "{HH}").replaceAll("{aa}", ""));
      return (date) => twelve(date);
    },
  };
}
