import { Skeleton } from "@mantine/core";
import { lazy, Suspense } from "react";
import type { Bars } from "./BarChart";

const BarChart = lazy(() => import("./BarChart"));

type Props = { bars: Bars; unit: string; label: string; height?: number; most?: number };

/** The chart's library is fetched only when a chart is shown. */
export function LazyBars(props: Props) {
  return (
    <Suspense fallback={<Skeleton height={(props.height ?? 260) + 20} radius="sm" />}>
      <BarChart {...props} />
    </Suspense>
  );
}
