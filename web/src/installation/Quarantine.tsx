import { Button } from "@mantine/core";
import { Link } from "react-router";
import { useQuarantine } from "../api/ledger";
import type { Quarantined } from "../api/types";
import { pretty, zone } from "../format";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Time } from "../parts/Time";
import session from "../session/session.module.css";
import { t } from "../texts";
import css from "./installation.module.css";
import { Room } from "./Room";

/** Messages that the ledger could not take in. */
export function Quarantine() {
  const quarantine = useQuarantine();
  const items = quarantine.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Room id="quarantine" title={t.installation.quarantine} lead={t.installation.quarantineLead}>
      {quarantine.isError && (
        <div className={css.pad}>
          <ProblemView cause={quarantine.error} retry={() => void quarantine.refetch()} />
        </div>
      )}
      {quarantine.data && items.length === 0 && <Empty title={t.installation.noQuarantine} />}
      {items.length > 0 && (
        <Scroll label={t.installation.quarantine}>
          <table className="table" aria-labelledby="quarantine">
            <thead>
              <tr>
                <th>{`${t.installation.at} (${zone()})`}</th>
                <th>{t.installation.station}</th>
                <th>{t.installation.action}</th>
                <th>{t.installation.reason}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((one) => (
                <Row key={one.id} one={one} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {quarantine.hasNextPage && (
        <div className={session.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={quarantine.isFetchingNextPage}
            onClick={() => void quarantine.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </Room>
  );
}

function Row({ one }: { one: Quarantined }) {
  return (
    <tr data-quarantined={one.id}>
      <td>
        <Time at={one.at} form="seconds" />
      </td>
      <td>
        <Link to={`/stations/${encodeURIComponent(one.station)}`}>{one.station}</Link>
      </td>
      <td>{one.action}</td>
      <td className={css.why}>
        {one.reason}
        <details className={css.payload}>
          <summary>{t.installation.payload}</summary>
          <pre className="code">{pretty(one.payload)}</pre>
        </details>
      </td>
    </tr>
  );
}
