import { useMemo } from "react";
import { Link } from "react-router";
import { useHistory } from "../api/ledger";
import { ProblemView } from "../parts/Problem";
import station from "../station/station.module.css";
import { t } from "../texts";
import { filled, spanOf } from "./buckets";
import { Chart } from "./Figures";
import css from "./history.module.css";

/** Energy and availability of a station over the last month, with the way to all its figures. */
export function StationFigures({ station: id }: { station: string }) {
  const span = useMemo(() => spanOf("day", 0, new Date()), []);
  const history = useHistory({ ...span, station: id });
  const buckets = useMemo(() => filled(history.data ?? [], span), [history.data, span]);
  return (
    <section className={station.block} aria-labelledby="figures">
      <div className={css.head}>
        <h2 id="figures">{t.charts.month31}</h2>
        <span className={css.paging}>
          <Link to={`/history?station=${encodeURIComponent(id)}`} className={station.dim}>
            {t.charts.all}
          </Link>
        </span>
      </div>
      {history.isError && <ProblemView cause={history.error} retry={() => void history.refetch()} />}
      {history.data && (
        <div className={css.pair}>
          <Chart buckets={buckets} metric="energy" span={span} height={130} />
          <Chart buckets={buckets} metric="availability" span={span} height={130} />
        </div>
      )}
    </section>
  );
}
