import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { fonts } from "../theme";
import css from "./parts.module.css";

const colours = {
  light: { bar: "#1f9254", text: "#55615f", grid: "#e6ebea" },
  dark: { bar: "#43b876", text: "#a3afb4", grid: "#262f33" },
};

export type Bars = { time: number[]; values: (number | null)[] };
type Props = { bars: Bars; unit: string; label: string; height?: number; most?: number };

/** A bar for each bucket of UTC. `most` is the top of the scale where it is known, as 100 for percent. */
export default function BarChart({ bars, unit, label, height = 260, most }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme("light");
  const latest = useRef(bars);
  latest.current = bars;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const { time, values } = latest.current;
    const made = new uPlot(options(scheme, element.clientWidth, height, most), [time, values], element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme, height, most]);

  useEffect(() => {
    plot.current?.setData([bars.time, bars.values]);
  }, [bars]);

  return (
    <div>
      <div className={css.legend} aria-hidden="true">
        <span style={{ "--swatch": colours[scheme].bar } as React.CSSProperties}>{unit}</span>
      </div>
      <div ref={box} className={css.chart} role="img" aria-label={label} />
    </div>
  );
}

function options(scheme: "light" | "dark", width: number, height: number, most?: number): uPlot.Options {
  const c = colours[scheme];
  const axis = { stroke: c.text, font: `11px ${fonts}`, ticks: { show: false } };
  // A column of its own at both ends, so that the first and the last bar are as wide as the others.
  const around: uPlot.Range.Function = (plot, min, max) => {
    const time = plot.data[0];
    const first = time[0];
    const second = time[1];
    const half = first !== undefined && second !== undefined ? (second - first) / 2 : 1800;
    return [min - half, max + half];
  };
  return {
    width: Math.max(120, width),
    height,
    series: [
      {},
      {
        scale: "y",
        fill: c.bar,
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars?.({ size: [0.72, 60], align: 0 }),
      },
    ],
    axes: [
      { ...axis, grid: { show: false }, space: 64 },
      { ...axis, scale: "y", size: 48, space: 30, grid: { stroke: c.grid, width: 1 } },
    ],
    scales: {
      x: { range: around },
      y: { range: (_plot, _min, max) => [0, most ?? Math.max(max ?? 0, 1) * 1.1] },
    },
    legend: { show: false },
    cursor: { show: false },
    padding: [12, 6, 0, 0],
    // Buckets are of UTC, so their axis is too.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    fmtDate: (template) => uPlot.fmtDate(template.replaceAll("{h}", "{HH}").replaceAll("{aa}", "")),
  };
}
