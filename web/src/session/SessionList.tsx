import { Button } from "@mantine/core";
import { Link } from "react-router";
import { type SessionFilter, useSessions } from "../api/queries";
import type { Session } from "../api/types";
import { energy, none, power, zone } from "../format";
import { AlertIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { StateChip } from "../parts/StateChip";
import { Duration, Time } from "../parts/Time";
import { t } from "../texts";
import css from "./session.module.css";

type Props = { filter: SessionFilter; clear?: () => void };

/** Sessions, newest first; those that run change as they charge. */
export function SessionList({ filter, clear }: Props) {
  const sessions = useSessions(filter);
  const items = sessions.data?.pages.flatMap((page) => page.items) ?? [];
  const withStation = filter.station === undefined;
  return (
    <>
      {sessions.isError && <ProblemView cause={sessions.error} retry={() => void sessions.refetch()} />}
      {sessions.data && items.length === 0 && <Nothing clear={clear} />}
      {items.length > 0 && (
        <Scroll label={t.session.list}>
          <table className="table" aria-label={t.session.list}>
            <thead>
              <tr>
                <th>{`${t.session.started} (${zone()})`}</th>
                {withStation && <th>{t.session.station}</th>}
                <th className={css.wide}>{t.session.evse}</th>
                <th className={css.wide}>{t.session.token}</th>
                <th>{t.session.state}</th>
                <th className="end">{t.session.duration}</th>
                <th className="end">{t.session.power}</th>
                <th className="end">{t.session.energy}</th>
                <th>{t.session.flags}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((session) => (
                <Row key={session.id} session={session} withStation={withStation} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {sessions.hasNextPage && (
        <div className={css.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={sessions.isFetchingNextPage}
            onClick={() => void sessions.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </>
  );
}

function Row({ session: s, withStation }: { session: Session; withStation: boolean }) {
  return (
    <tr data-session={s.id}>
      <td>
        <Link to={`/sessions/${s.id}`} aria-label={t.session.open(s.transactionId)}>
          <Time at={s.startedAt} />
        </Link>
      </td>
      {withStation && (
        <td>
          <Link to={`/stations/${encodeURIComponent(s.station)}`} className={css.plain}>
            {s.station}
          </Link>
        </td>
      )}
      <td className={`num ${css.wide}`}>{s.evse}</td>
      <td className={`mono ${css.wide}`}>{s.token ?? none}</td>
      <td>
        <SessionState session={s} />
      </td>
      <td className="end">
        <Duration from={s.startedAt} to={s.endedAt} />
      </td>
      <td className="end num">{s.state === "active" ? power(s.powerW) : none}</td>
      <td className="end num">{energy(s.energyWh)}</td>
      <td>
        <FlagSign session={s} />
      </td>
    </tr>
  );
}

function Nothing({ clear }: { clear?: () => void }) {
  if (!clear) return <Empty title={t.session.empty}>{t.session.emptyHint}</Empty>;
  return (
    <Empty title={t.billing.emptyFilter}>
      <Button size="compact-sm" variant="default" mt={8} onClick={clear}>
        {t.billing.clear}
      </Button>
    </Empty>
  );
}

/** That a session is held, or how many flags it carries; those that are resolved are said quietly. */
function FlagSign({ session }: { session: Session }) {
  if (session.flags.length === 0) return null;
  const open = session.flags.filter((f) => !f.resolvedAt);
  const count = t.session.flagCount(session.flags.length);
  return (
    <span
      className={open.length > 0 ? css.flags : css.ended}
      title={session.flags.map((f) => f.text).join("\n")}
      data-billing={session.billing}
    >
      {open.length > 0 && <AlertIcon size={14} />}
      {session.billing === "held" ? `${t.billing.states.held} · ${count}` : count}
    </span>
  );
}

/** The charging state of a running session in the colours of connectors, or that it has ended. */
export function SessionState({ session }: { session: Session }) {
  if (session.state !== "active") return <span className={css.ended}>{t.session.ended}</span>;
  const state = { EVConnected: "Preparing", Idle: "Occupied", "": "Occupied" }[session.chargingState];
  return <StateChip state={state ?? session.chargingState} />;
}
