import { Button, SegmentedControl, Select, Skeleton } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { useHistory } from "../api/ledger";
import { useFleet } from "../api/queries";
import {
  bounds,
  filled,
  type Metric,
  metrics,
  type Resolution,
  resolutions,
  type Span,
  spanOf,
  summary,
} from "../history/buckets";
import { Chart, FigureTable } from "../history/Figures";
import css from "../history/history.module.css";
import { Empty, ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import session from "../session/session.module.css";
import { t } from "../texts";

type Asked = { resolution: Resolution; metric: Metric; station: string | null; back: number };

/** Reads what is asked for from the address; what it does not know becomes the usual. */
function askedOf(search: URLSearchParams): Asked {
  const back = Number(search.get("back"));
  return {
    resolution: resolutions.find((r) => r === search.get("by")) ?? "day",
    metric: metrics.find((m) => m === search.get("figure")) ?? "energy",
    station: search.get("station"),
    back: Number.isInteger(back) && back > 0 && back <= 1000 ? back : 0,
  };
}

/** What the network, or one station, did in the past. */
export function History() {
  usePageTitle(t.charts.title);
  const [search, setSearch] = useSearchParams();
  const asked = askedOf(search);
  const set = (name: string, value: string | null) => {
    const next = new URLSearchParams(search);
    if (value) next.set(name, value);
    else next.delete(name);
    if (name === "by") next.delete("back");
    setSearch(next, { replace: true });
  };
  const span = useSpan(asked);
  const history = useHistory({ ...span, station: asked.station ?? undefined });
  const buckets = useMemo(() => filled(history.data ?? [], span), [history.data, span]);
  return (
    <>
      <div className={session.headline}>
        <h1>{t.charts.title}</h1>
        <span className={session.dim}>{t.charts.lead}</span>
      </div>
      <Controls asked={asked} set={set} />
      {history.isError && <ProblemView cause={history.error} retry={() => void history.refetch()} />}
      {!history.data && !history.isError && <Skeleton height={380} radius="md" />}
      {history.data && (
        <div className={css.stack}>
          <section className="card" style={{ padding: "14px 16px" }} aria-labelledby="figure">
            <div className={css.head}>
              <div>
                <h2 id="figure">{t.charts.metrics[asked.metric]}</h2>
                <p className={session.dim}>{period(span)}</p>
              </div>
              <Paging back={asked.back} set={set} />
            </div>
            <p className={css.sum} style={{ margin: "0 0 6px" }}>
              {summary(buckets, asked.metric)}
            </p>
            <Chart buckets={buckets} metric={asked.metric} span={span} />
            <p className={session.dim} style={{ margin: "6px 0 0" }}>
              {t.charts.explain[asked.metric]}
            </p>
          </section>
          <div className={`card ${css.table}`}>
            {history.data.length === 0 ? (
              <Empty title={t.charts.empty}>{t.charts.emptyHint}</Empty>
            ) : (
              <FigureTable buckets={buckets} span={span} />
            )}
          </div>
        </div>
      )}
    </>
  );
}

/** The span that is asked for; it moves on when an hour, a day or a month is over. */
function useSpan({ resolution, back }: Asked): Span {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 60_000);
    return () => clearInterval(timer);
  }, []);
  const { from, to } = spanOf(resolution, back, now);
  return useMemo(() => ({ from, to, resolution }), [from, to, resolution]);
}

function period(span: Span): string {
  const { from, to } = bounds(span);
  return t.charts.period(from, to);
}

type Set = (name: string, value: string | null) => void;

function Controls({ asked, set }: { asked: Asked; set: Set }) {
  const fleet = useFleet();
  const ids = fleet.data?.ids ?? [];
  const known = asked.station && !ids.includes(asked.station) ? [asked.station, ...ids] : ids;
  return (
    <div className={css.controls}>
      <Select
        label={t.charts.station}
        placeholder={t.charts.whole}
        data={known}
        value={asked.station}
        onChange={(value) => set("station", value)}
        searchable
        clearable
        limit={100}
        w={240}
      />
      <SegmentedControl
        aria-label={t.charts.resolution}
        data={resolutions.map((value) => ({ value, label: t.charts.resolutions[value] ?? value }))}
        value={asked.resolution}
        onChange={(value) => set("by", value)}
      />
      <div className={css.scrollable}>
        <SegmentedControl
          aria-label={t.charts.figure}
          data={metrics.map((value) => ({ value, label: t.charts.metrics[value] ?? value }))}
          value={asked.metric}
          onChange={(value) => set("figure", value)}
        />
      </div>
    </div>
  );
}

function Paging({ back, set }: { back: number; set: Set }) {
  return (
    <div className={css.paging}>
      <Button size="compact-sm" variant="default" onClick={() => set("back", String(back + 1))}>
        {t.charts.earlier}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        disabled={back === 0}
        onClick={() => set("back", back > 1 ? String(back - 1) : null)}
      >
        {t.charts.later}
      </Button>
    </div>
  );
}
