import { useQuery } from "@tanstack/react-query";
import { useRetention } from "../api/ledger";
import { meQuery } from "../api/queries";
import type { Retention } from "../api/types";
import { bytes, count, none } from "../format";
import { ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Time } from "../parts/Time";
import { t } from "../texts";
import { periodText } from "./duration";
import css from "./installation.module.css";
import { Room } from "./Room";

/** What is kept for how long, for owners: it is of the whole installation. */
export function RetentionView() {
  const me = useQuery(meQuery);
  const owner = me.data?.role === "owner";
  const retention = useRetention(owner);
  const known = retention.data;
  return (
    <Room id="retention" title={t.installation.retention} lead={t.installation.retentionLead}>
      {me.data && !owner && <p className={css.note}>{t.installation.retentionOwner}</p>}
      {retention.isError && (
        <div className={css.pad}>
          <ProblemView cause={retention.error} retry={() => void retention.refetch()} />
        </div>
      )}
      {known && (
        <>
          <p className={css.note}>
            {t.installation.databaseSize(bytes(known.databaseBytes))}{" "}
            {known.freeBytes > 0 && t.installation.freeSize(bytes(known.freeBytes))}
          </p>
          <Classes items={known.items} />
        </>
      )}
    </Room>
  );
}

function Classes({ items }: { items: Retention["items"] }) {
  return (
    <Scroll label={t.installation.retention}>
      <table className="table" aria-labelledby="retention">
        <thead>
          <tr>
            <th>{t.installation.klass}</th>
            <th>{t.installation.kept}</th>
            <th className="end">{t.installation.rows}</th>
            <th className="end">{t.installation.size}</th>
            <th>{t.installation.oldest}</th>
            <th className="end">{t.installation.dueSessions}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((one) => (
            <tr key={one.class} data-class={one.class}>
              <td className={css.why}>
                {one.what || one.class}
                {one.why && <div className={css.dim}>{one.why}</div>}
              </td>
              <td className="num">{periodText(one.period)}</td>
              <td className="end num">{one.rows === null ? none : count(one.rows)}</td>
              <td className="end num">{one.bytes === null ? none : bytes(one.bytes)}</td>
              <td>
                <Time at={one.oldest} />
              </td>
              <td className="end num">{one.due === null ? none : count(one.due)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
