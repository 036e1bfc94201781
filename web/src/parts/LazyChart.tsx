import { Skeleton } from "@mantine/core";
import { lazy, Suspense } from "react";
import type { Series } from "../series";

const PowerChart = lazy(() => import("./PowerChart"));

/** The chart's library is fetched only when a chart is shown. */
export function LazyChart(props: { series: Series; height?: number; small?: boolean }) {
  return (
    <Suspense fallback={<Skeleton height={props.height ?? 240} radius="sm" />}>
      <PowerChart {...props} />
    </Suspense>
  );
}
