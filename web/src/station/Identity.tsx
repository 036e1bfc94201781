import type { ReactNode } from "react";
import type { Station } from "../api/types";
import { none } from "../format";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

export function Identity({ station }: { station: Station }) {
  return (
    <section className={`card ${css.identity}`} aria-labelledby="identity">
      <h2 id="identity">{t.station.identity}</h2>
      <dl>
        <Fact name={t.station.vendor}>{station.vendor}</Fact>
        <Fact name={t.station.model}>{station.model}</Fact>
        <Fact name={t.station.serial}>{station.serialNumber}</Fact>
        <Fact name={t.station.firmware}>{station.firmware}</Fact>
        <Fact name={t.station.security}>
          {t.station.securityNames[station.securityProfile] ?? String(station.securityProfile)}
        </Fact>
        <Fact name={t.station.strict}>{t.station.strictNames[station.strict ? "true" : "false"]}</Fact>
        <Fact name={t.station.admission}>
          {t.station.admissionNames[station.admission] ?? station.admission}
        </Fact>
        <Fact name={t.station.booted}>
          <Time at={station.bootedAt} />
        </Fact>
        <Fact name={t.station.connected}>
          <Time at={station.online ? station.connectedSince : null} />
        </Fact>
        <Fact name={t.station.created}>
          <Time at={station.createdAt} />
        </Fact>
      </dl>
    </section>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children || none}</dd>
    </div>
  );
}
