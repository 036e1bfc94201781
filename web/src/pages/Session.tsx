import { Button, SegmentedControl, Skeleton } from "@mantine/core";
import { useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import { toProblem } from "../api/problem";
import { useLivePower, useMeterValues, useSession, useSessionFrames } from "../api/queries";
import { StopButton } from "../command/StopButton";
import { FrameList, type View } from "../frames/FrameList";
import { mergeFrames } from "../frames/log";
import { LeftIcon } from "../parts/icons";
import { LazyChart } from "../parts/LazyChart";
import { Empty, ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import { toSeries } from "../series";
import { Billing } from "../session/Billing";
import { Facts } from "../session/Facts";
import { SessionState } from "../session/SessionList";
import css from "../session/session.module.css";
import { Timeline } from "../session/Timeline";
import station from "../station/station.module.css";
import { t } from "../texts";

export function SessionPage() {
  const { id = "" } = useParams();
  return <OneSession key={id} id={id} />;
}

function OneSession({ id }: { id: string }) {
  const session = useSession(id);
  usePageTitle(session.data ? `${t.session.title} ${session.data.transactionId}` : t.session.title);
  if (session.isError && !session.data) {
    return toProblem(session.error).status === 404 ? (
      <Empty title={t.errors.notFound}>
        <Link to="/sessions">{t.session.listTitle}</Link>
      </Empty>
    ) : (
      <ProblemView cause={session.error} retry={() => void session.refetch()} />
    );
  }
  if (!session.data) return <Skeleton height={260} radius="md" />;
  const s = session.data;
  return (
    <>
      <Link to="/sessions" className={station.back}>
        <LeftIcon size={15} /> {t.session.listTitle}
      </Link>
      <div className={css.headline}>
        <h1>
          {t.session.title} {s.transactionId}
        </h1>
        <SessionState session={s} />
        {s.state === "active" && (
          <span className={css.stop}>
            <StopButton session={s.id} size="sm" label={t.fleet.stopAt(s.station, s.evse)} />
          </span>
        )}
      </div>
      <Billing session={s} />
      <Facts session={s} />
      <Chart id={id} />
      <Timeline id={id} />
      <Frames id={id} />
    </>
  );
}

function Chart({ id }: { id: string }) {
  const stored = useMeterValues(id);
  const live = useLivePower(id);
  const series = useMemo(() => toSeries(stored.data ?? [], live.data), [stored.data, live.data]);
  return (
    <section className={`card ${css.section}`} aria-labelledby="chart">
      <h2 id="chart">{t.session.chart}</h2>
      {stored.isError && <ProblemView cause={stored.error} retry={() => void stored.refetch()} />}
      {series.time.length > 0 ? (
        <LazyChart series={series} height={280} />
      ) : (
        stored.data && <p className={css.dim}>{t.session.noReadings}</p>
      )}
    </section>
  );
}

/** What was said on the wire, word for word. */
function Frames({ id }: { id: string }) {
  const frames = useSessionFrames(id);
  const [view, setView] = useState<View>("pretty");
  const items = useMemo(
    () => mergeFrames([], frames.data?.pages.flatMap((page) => page.items) ?? []),
    [frames.data],
  );
  return (
    <section className="card" aria-labelledby="frames">
      <div className={station.toolbar}>
        <h2 id="frames">{t.session.frames}</h2>
        <SegmentedControl
          size="xs"
          ml="auto"
          aria-label={t.frames.view}
          data={[
            { value: "pretty", label: t.frames.pretty },
            { value: "raw", label: t.frames.raw },
          ]}
          value={view}
          onChange={(value) => setView(value as View)}
        />
      </div>
      {frames.isError && (
        <div className={station.block}>
          <ProblemView cause={frames.error} retry={() => void frames.refetch()} />
        </div>
      )}
      {frames.data && items.length === 0 && <Empty title={t.frames.none} />}
      {items.length > 0 && <FrameList frames={items} view={view} />}
      {frames.hasNextPage && (
        <div className={station.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={frames.isFetchingNextPage}
            onClick={() => void frames.fetchNextPage()}
          >
            {t.frames.older}
          </Button>
        </div>
      )}
    </section>
  );
}
