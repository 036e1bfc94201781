import { Button } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, useLayoutEffect, useRef, useState } from "react";
import { Link } from "react-router";
import type { Evse, Station } from "../api/types";
import { StartDialog } from "../command/StartDialog";
import { StopButton } from "../command/StopButton";
import { energy, none, power } from "../format";
import { OnlineDot, ProtocolBadge, StateChip } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { connectorState, typeName } from "../state";
import { t } from "../texts";
import css from "./fleet.module.css";

type StartAt = { station: Station; evse: number };

/**
 * The stations as a table of which only the visible rows exist. Arrow keys move between stations, Enter opens one.
 */
export function FleetList({ stations }: { stations: Station[] }) {
  const list = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);
  const [start, setStart] = useState<StartAt | null>(null);

  // What stands above the list (the waiting room) comes and goes, and moves it.
  useLayoutEffect(() => {
    const measure = () => setOffset((list.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);

  const virtual = useWindowVirtualizer({
    count: stations.length,
    estimateSize: (i) => 22 + 30 * Math.max(1, stations[i]?.evses.length ?? 1),
    overscan: 12,
    scrollMargin: offset,
    getItemKey: (i) => stations[i]?.id ?? i,
  });

  const move = (event: KeyboardEvent<HTMLDivElement>) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
    if (!step || !row || !(event.target as HTMLElement).matches("a")) return;
    const next = Number(row.dataset.index) + step;
    if (next < 0 || next >= stations.length) return;
    event.preventDefault();
    virtual.scrollToIndex(next, { align: "auto" });
    requestAnimationFrame(() =>
      list.current?.querySelector<HTMLElement>(`[data-index="${next}"] a`)?.focus({ preventScroll: true }),
    );
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys only move focus between the links inside
    <div className="card" onKeyDown={move}>
      <div role="table" aria-label={t.fleet.list} aria-rowcount={stations.length + 1} className={css.table}>
        <div role="rowgroup">
          <div role="row" className={css.head} aria-rowindex={1}>
            <span role="columnheader">{t.fleet.columns.station}</span>
            <span role="columnheader">{t.fleet.columns.version}</span>
            <span role="columnheader" className={css.evseHead}>
              <span>{t.fleet.columns.state}</span>
              <span className={css.end}>{t.fleet.columns.power}</span>
              <span className={css.end}>{t.fleet.columns.energy}</span>
              <span />
            </span>
          </div>
        </div>
        <div role="rowgroup" ref={list} className={css.rows} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const station = stations[item.index];
            return station ? (
              <div
                role="row"
                key={item.key}
                data-index={item.index}
                data-station={station.id}
                aria-rowindex={item.index + 2}
                ref={virtual.measureElement}
                className={css.item}
                style={{ transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}
              >
                <Row station={station} onStart={setStart} />
              </div>
            ) : null;
          })}
        </div>
      </div>
      {start && <StartDialog station={start.station} evse={start.evse} onClose={() => setStart(null)} />}
    </div>
  );
}

type RowProps = { station: Station; onStart: (at: StartAt) => void };

/** Rendered again only when its station changed: events replace the station's object. */
const Row = memo(function Row({ station, onStart }: RowProps) {
  const model = `${station.vendor} ${station.model}`.trim();
  return (
    <>
      <div role="cell" className={css.who}>
        <OnlineDot online={station.online} />
        <div className={css.names}>
          <Link to={`/stations/${encodeURIComponent(station.id)}`} className={css.id}>
            {station.id}
          </Link>
          <span className={css.model}>
            {model}
            {!station.online && (
              <span className={css.away}>
                {model && " · "}
                {station.lastSeen ? <Time at={station.lastSeen} form="ago" /> : t.link.neverSeen}
              </span>
            )}
          </span>
        </div>
      </div>
      <div role="cell" className={css.version}>
        <ProtocolBadge protocol={station.protocol} />
      </div>
      <div role="cell" className={css.evses}>
        {station.evses.length === 0 && <span className={css.noEvses}>{t.fleet.noEvses}</span>}
        {station.evses.map((evse) => (
          <EvseLine key={evse.id} station={station} evse={evse} onStart={onStart} />
        ))}
      </div>
    </>
  );
});

type LineProps = { station: Station; evse: Evse; onStart: (at: StartAt) => void };

function EvseLine({ station, evse, onStart }: LineProps) {
  const session = evse.session;
  return (
    <div className={css.line} data-evse={evse.id} data-idle={session === null}>
      <span className={css.chips}>
        <span className={css.evseId} title={t.station.evse(evse.id)}>
          {evse.id}
        </span>
        {evse.connectors.map((connector) => (
          <StateChip
            key={connector.id}
            state={connectorState(connector, evse)}
            title={`${t.station.connector(connector.id)} ${typeName(connector.type)}`}
          />
        ))}
      </span>
      <span className={`num ${css.power}`}>{session ? power(session.powerW) : none}</span>
      <span className={`num ${css.energy}`}>{session ? energy(session.energyWh) : none}</span>
      <span className={css.action}>
        {session ? (
          <StopButton
            session={session.id}
            disabled={!station.online}
            label={t.fleet.stopAt(station.id, evse.id)}
          />
        ) : (
          <Button
            size="compact-sm"
            variant="default"
            disabled={!station.online || evse.status === "Faulted" || evse.status === "Unavailable"}
            aria-label={t.fleet.startAt(station.id, evse.id)}
            onClick={() => onStart({ station, evse: evse.id })}
          >
            {t.fleet.start}
          </Button>
        )}
      </span>
    </div>
  );
}
