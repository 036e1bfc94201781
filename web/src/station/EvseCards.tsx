import { useMemo } from "react";
import { Link } from "react-router";
import { useLivePower, useMeterValues } from "../api/queries";
import type { Evse, RunningSession, Station } from "../api/types";
import { StopButton } from "../command/StopButton";
import { energy, power } from "../format";
import { LazyChart } from "../parts/LazyChart";
import { Empty } from "../parts/Problem";
import { StateChip } from "../parts/StateChip";
import { Duration, Time } from "../parts/Time";
import { toSeries } from "../series";
import { connectorState, typeName } from "../state";
import { t } from "../texts";
import css from "./station.module.css";

/** Each place for a vehicle: its connectors, and the session that runs there, live. */
export function EvseCards({ station }: { station: Station }) {
  if (station.evses.length === 0) {
    return (
      <div className="card">
        <Empty title={t.fleet.noEvses} />
      </div>
    );
  }
  return (
    <div className={css.evses}>
      {station.evses.map((evse) => (
        <EvseCard key={evse.id} station={station} evse={evse} />
      ))}
    </div>
  );
}

function EvseCard({ station, evse }: { station: Station; evse: Evse }) {
  return (
    <section className={`card ${css.evse}`} aria-labelledby={`evse-${evse.id}`} data-evse={evse.id}>
      <div className={css.evseHead}>
        <h2 id={`evse-${evse.id}`}>{t.station.evse(evse.id)}</h2>
        {evse.session && (
          <StopButton
            session={evse.session.id}
            size="sm"
            disabled={!station.online}
            label={t.fleet.stopAt(station.id, evse.id)}
          />
        )}
      </div>
      <ul className={css.connectors}>
        {evse.connectors.map((connector) => (
          <li key={connector.id}>
            <StateChip state={connectorState(connector, evse)} />
            <span>
              {t.station.connector(connector.id)} {typeName(connector.type)}
            </span>
            {connector.since && (
              <span className={css.dim}>
                {t.station.since} <Time at={connector.since} form="clock" />
              </span>
            )}
            {connector.error && (
              <span className={css.fault}>
                {t.station.error}: {connector.error.code} {connector.error.info}
              </span>
            )}
          </li>
        ))}
      </ul>
      {evse.session ? <Running session={evse.session} /> : <p className={css.dim}>{t.station.idle}</p>}
    </section>
  );
}

function Running({ session }: { session: RunningSession }) {
  const stored = useMeterValues(session.id);
  const live = useLivePower(session.id);
  const series = useMemo(() => toSeries(stored.data ?? [], live.data), [stored.data, live.data]);
  return (
    <>
      <dl className={css.running}>
        <div>
          <dt>{t.session.power}</dt>
          <dd className="num">{power(session.powerW)}</dd>
        </div>
        <div>
          <dt>{t.session.energy}</dt>
          <dd className="num">{energy(session.energyWh)}</dd>
        </div>
        <div>
          <dt>{t.session.duration}</dt>
          <dd>
            <Duration from={session.startedAt} to={null} />
          </dd>
        </div>
        {session.soc != null && (
          <div>
            <dt>{t.session.soc}</dt>
            <dd className="num">{session.soc} %</dd>
          </div>
        )}
      </dl>
      {series.time.length > 1 && <LazyChart series={series} small height={110} />}
      <p className={css.dim}>
        {t.session.token}: <span className="mono">{session.token ?? t.session.noToken}</span> ·{" "}
        <Link to={`/sessions/${session.id}`}>{t.station.details}</Link>
      </p>
    </>
  );
}
