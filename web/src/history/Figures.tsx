import { useMemo } from "react";
import type { Bucket } from "../api/types";
import { LazyBars } from "../parts/LazyBars";
import { Scroll } from "../parts/Scroll";
import { t } from "../texts";
import { bounds, figureOf, type Metric, metrics, nameOf, type Span, summary, written } from "./buckets";
import css from "./history.module.css";

/** One figure of every bucket as bars. */
export function Chart({ buckets, metric, span, height }: Props & { metric: Metric; height?: number }) {
  const bars = useMemo(
    () => ({
      time: buckets.map((b) => Date.parse(b.at) / 1000),
      values: buckets.map((b) => figureOf(b, metric)),
    }),
    [buckets, metric],
  );
  const { from, to } = bounds(span);
  const figure = t.charts.metrics[metric] ?? metric;
  return (
    <LazyBars
      bars={bars}
      unit={`${figure} (${t.charts.units[metric]})`}
      label={t.charts.chart(figure, from, to, summary(buckets, metric))}
      height={height}
      most={metric === "availability" ? 100 : undefined}
    />
  );
}

type Props = { buckets: Bucket[]; span: Span };

/** All figures of every bucket, newest first, with what they come to. */
export function FigureTable({ buckets, span }: Props) {
  const rows = buckets.filter((b) => Object.keys(b).length > 1).reverse();
  return (
    <Scroll label={t.charts.table}>
      <table className="table" aria-label={t.charts.table}>
        <thead>
          <tr>
            <th>{t.charts.columns[span.resolution]}</th>
            {metrics.map((metric) => (
              <th key={metric} className="end">
                {t.charts.columns[metric]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((bucket) => (
            <tr key={bucket.at}>
              <th scope="row" className={css.bucket}>
                {nameOf(bucket.at, span.resolution)}
              </th>
              {metrics.map((metric) => (
                <td key={metric} className="end num">
                  {written(figureOf(bucket, metric), metric)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" className={css.bucket}>
              {t.charts.sum}
            </th>
            {metrics.map((metric) => (
              <td key={metric} className="end num">
                {summary(buckets, metric)}
              </td>
            ))}
          </tr>
        </tfoot>
      </table>
    </Scroll>
  );
}
