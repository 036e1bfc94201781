import { Button } from "@mantine/core";
import { useLinks, useStatusHistory } from "../api/queries";
import { zone } from "../format";
import { StationFigures } from "../history/StationFigures";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { ProtocolBadge, StateChip } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** What each connector was, and when the station was connected. */
export function HistoryTab({ station }: { station: string }) {
  return (
    <>
      <StationFigures station={station} />
      <States station={station} />
      <Links station={station} />
    </>
  );
}

function States({ station }: { station: string }) {
  const history = useStatusHistory(station);
  const items = history.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className={css.section} aria-labelledby="states">
      <h2 id="states">{t.history.states}</h2>
      {history.isError && <ProblemView cause={history.error} retry={() => void history.refetch()} />}
      {history.data && items.length === 0 && <Empty title={t.history.none} />}
      {items.length > 0 && (
        <Scroll label={t.history.states}>
          <table className="table" aria-labelledby="states">
            <thead>
              <tr>
                <th>{`${t.history.at} (${zone()})`}</th>
                <th>{t.history.evse}</th>
                <th>{t.history.connector}</th>
                <th>{t.history.state}</th>
                <th>{t.history.received}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((s) => (
                <tr key={`${s.receivedAt} ${s.evse} ${s.connector} ${s.status} ${s.detail} ${s.at}`}>
                  <td>
                    <Time at={s.at} form="full" />
                  </td>
                  <td>{s.evse}</td>
                  <td>{s.connector}</td>
                  <td>
                    <StateChip state={s.detail || s.status} />
                  </td>
                  <td>
                    <Time at={s.receivedAt} form="clock" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {history.hasNextPage && (
        <div className={css.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={history.isFetchingNextPage}
            onClick={() => void history.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </section>
  );
}

function Links({ station }: { station: string }) {
  const links = useLinks(station);
  const items = links.data?.items ?? [];
  return (
    <section className={css.section} aria-labelledby="links">
      <h2 id="links">{t.history.links}</h2>
      {links.isError && <ProblemView cause={links.error} retry={() => void links.refetch()} />}
      {links.data && items.length === 0 && <Empty title={t.history.noLinks} />}
      {items.length > 0 && (
        <Scroll label={t.history.links}>
          <table className="table" aria-labelledby="links">
            <thead>
              <tr>
                <th>{`${t.history.connected} (${zone()})`}</th>
                <th>{t.history.disconnected}</th>
                <th>{t.history.reason}</th>
                <th>{t.history.protocol}</th>
                <th>{t.history.remote}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((link) => (
                <tr key={link.connectedAt}>
                  <td>
                    <Time at={link.connectedAt} form="full" />
                  </td>
                  <td>
                    {link.disconnectedAt ? <Time at={link.disconnectedAt} form="full" /> : t.history.still}
                  </td>
                  <td>{link.reason}</td>
                  <td>
                    <ProtocolBadge protocol={link.protocol} />
                  </td>
                  <td className="mono">{link.remote}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}
