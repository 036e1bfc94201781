import { Button, SegmentedControl, Skeleton } from "@mantine/core";
import { type ReactNode, useMemo, useState } from "react";
import { Link, useParams } from "react-router";
import { toProblem } from "../api/problem";
import { useLivePower, useMeterValues, useSession, useSessionFrames } from "../api/queries";
import type { Session } from "../api/types";
import { StopButton } from "../command/StopButton";
import { energy, none, power } from "../format";
import { FrameList, type View } from "../frames/FrameList";
import { mergeFrames } from "../frames/log";
import { AlertIcon, LeftIcon } from "../parts/icons";
import { LazyChart } from "../parts/LazyChart";
import { Empty, ProblemView } from "../parts/Problem";
import { Duration, Time } from "../parts/Time";
import { usePageTitle } from "../parts/usePageTitle";
import { toSeries } from "../series";
import { SessionState } from "../session/SessionList";
import css from "../session/session.module.css";
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
      <Facts session={s} />
      <Chart id={id} />
      <Flags session={s} />
      <Timeline id={id} />
    </>
  );
}

function Facts({ session: s }: { session: Session }) {
  return (
    <dl className={`card ${css.facts}`}>
      <Fact big name={t.session.energy}>
        <span className="num">{energy(s.energyWh)}</span>
      </Fact>
      {s.state === "active" && (
        <Fact big name={t.session.power}>
          <span className="num">{power(s.powerW)}</span>
        </Fact>
      )}
      <Fact big name={t.session.duration}>
        <Duration from={s.startedAt} to={s.endedAt} />
      </Fact>
      {s.soc != null && (
        <Fact big name={t.session.soc}>
          <span className="num">{s.soc} %</span>
        </Fact>
      )}
      <Fact name={t.session.station}>
        <Link to={`/stations/${encodeURIComponent(s.station)}`}>{s.station}</Link>
      </Fact>
      <Fact name={`${t.session.evse} / ${t.session.connector}`}>
        {s.evse} / {s.connector || none}
      </Fact>
      <Fact name={t.session.token}>
        <span className="mono">{s.token ?? t.session.noToken}</span>{" "}
        {s.tokenType && <span className={css.dim}>{s.tokenType}</span>}
      </Fact>
      <Fact name={t.session.started}>
        <Time at={s.startedAt} form="full" />
      </Fact>
      <Fact name={t.session.endedAt}>
        <Time at={s.endedAt} form="full" />
      </Fact>
      {s.stoppedReason && <Fact name={t.session.reason}>{s.stoppedReason}</Fact>}
    </dl>
  );
}

function Fact({ name, big, children }: { name: string; big?: boolean; children: ReactNode }) {
  return (
    <div className={big ? css.big : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
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

function Flags({ session }: { session: Session }) {
  return (
    <section className={`card ${css.section}`} aria-labelledby="flags">
      <h2 id="flags">{t.session.flags}</h2>
      {session.flags.length === 0 ? (
        <span className={css.dim}>{t.session.noFlags}</span>
      ) : (
        <ul className={css.flagList}>
          {session.flags.map((flag) => (
            <li key={`${flag.code} ${flag.at}`}>
              <AlertIcon size={16} />
              <span>{flag.text || flag.code}</span>
              <span className={css.dim}>
                <Time at={flag.at} />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Timeline({ id }: { id: string }) {
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
