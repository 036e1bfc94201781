import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Session } from "../api/types";
import { energy, exactEnergy, none, power, span } from "../format";
import { Duration, Time } from "../parts/Time";
import { t } from "../texts";
import css from "./session.module.css";

/** What a session comes to, and where each figure comes from. */
export function Facts({ session: s }: { session: Session }) {
  return (
    <dl className={`card ${css.facts}`}>
      <Fact big name={t.session.energy} note={energySource(s)}>
        <span className="num">{energy(s.energyWh)}</span>
      </Fact>
      {s.state === "active" && (
        <Fact big name={t.session.power}>
          <span className="num">{power(s.powerW)}</span>
        </Fact>
      )}
      <Fact big name={t.session.duration}>
        <Duration from={s.startedAtCorrected ?? s.startedAt} to={s.endedAtCorrected ?? s.endedAt} />
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
      <Moment name={t.session.started} said={s.startedAt} corrected={s.startedAtCorrected} />
      <Moment name={t.session.endedAt} said={s.endedAt} corrected={s.endedAtCorrected} />
      {s.clockOffsetSeconds !== null && (s.clockOffsetSeconds !== 0 || s.startedAtCorrected) && (
        <Fact name={t.billing.clock}>{clockText(s.clockOffsetSeconds)}</Fact>
      )}
      {s.stoppedReason && <Fact name={t.session.reason}>{s.stoppedReason}</Fact>}
    </dl>
  );
}

type FactProps = { name: string; big?: boolean; note?: ReactNode; children: ReactNode };

function Fact({ name, big, note, children }: FactProps) {
  return (
    <div className={big ? css.big : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
      {note && <dd className={css.source}>{note}</dd>}
    </div>
  );
}

/** A time as it is billed; where the station's clock was wrong, what it said stands below. */
function Moment({ name, said, corrected }: { name: string; said: string | null; corrected: string | null }) {
  return (
    <Fact
      name={name}
      note={
        corrected && (
          <>
            {t.billing.stationSaid} <Time at={said} form="full" />
          </>
        )
      }
    >
      <Time at={corrected ?? said} form="full" />
    </Fact>
  );
}

function clockText(seconds: number): string {
  if (seconds === 0) return t.billing.right;
  const by = span(Math.abs(seconds));
  return seconds > 0 ? t.billing.ahead(by) : t.billing.behind(by);
}

/** Registers are rounded one by one, so their difference may miss the energy by a Wh. */
const roundingWh = 1;

/** Says from which readings of the meter's register a session's energy comes. */
export function energySource(s: Session): string {
  if (s.meterStartWh === null) return t.billing.energyUnknown;
  if (s.meterStopWh === null) return t.billing.energyStart(exactEnergy(s.meterStartWh));
  const from = exactEnergy(s.meterStartWh);
  const to = exactEnergy(s.meterStopWh);
  const plain = Math.abs(s.meterStopWh - s.meterStartWh - s.energyWh) <= roundingWh;
  return plain ? t.billing.energyFrom(from, to) : t.billing.energyPieces(from, to);
}
