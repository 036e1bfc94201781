import { Button } from "@mantine/core";
import { Link } from "react-router";
import { useCases } from "../api/ledger";
import type { Case } from "../api/types";
import { none, zone } from "../format";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Mark } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** What the guardian found wrong at a station, newest first, and what it did. */
export function GuardianTab({ station }: { station: string }) {
  const cases = useCases(station);
  const items = cases.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className={css.section} aria-labelledby="guardian">
      <h2 id="guardian">{t.guardian.list}</h2>
      <p className={css.lead} style={{ padding: "0 16px" }}>
        {t.guardian.lead}
      </p>
      {cases.isError && <ProblemView cause={cases.error} retry={() => void cases.refetch()} />}
      {cases.data && items.length === 0 && <Empty title={t.guardian.none} />}
      {items.length > 0 && (
        <Scroll label={t.guardian.list}>
          <table className="table" aria-labelledby="guardian">
            <thead>
              <tr>
                <th>{`${t.guardian.opened} (${zone()})`}</th>
                <th>{t.guardian.kind}</th>
                <th>{t.guardian.place}</th>
                <th>{t.guardian.seen}</th>
                <th>{t.guardian.outcome}</th>
                <th>{t.guardian.state}</th>
                <th>{t.guardian.session}</th>
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
      {cases.hasNextPage && (
        <div className={css.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={cases.isFetchingNextPage}
            onClick={() => void cases.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </section>
  );
}

function Row({ one }: { one: Case }) {
  return (
    <tr data-case={one.id}>
      <td>
        <Time at={one.openedAt} />
      </td>
      <td>{t.guardian.kinds[one.kind] ?? one.kind}</td>
      <td>
        {one.evse || none} / {one.connector || none}
      </td>
      <td>{one.subject}</td>
      <td>
        {one.outcome || none}
        {one.tries > 0 && <div className={css.outcome}>{t.guardian.tries(one.tries)}</div>}
      </td>
      <td>
        <Mark tone={one.closedAt ? "off" : "busy"}>{one.closedAt ? t.guardian.closed : t.guardian.open}</Mark>
        {one.closedAt && (
          <div className={css.outcome}>
            <Time at={one.closedAt} />
          </div>
        )}
      </td>
      <td>{one.session && <Link to={`/sessions/${one.session}`}>{t.guardian.toSession}</Link>}</td>
    </tr>
  );
}
