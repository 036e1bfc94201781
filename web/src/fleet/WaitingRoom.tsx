import { Button } from "@mantine/core";
import { Link } from "react-router";
import { useAdmission } from "../api/queries";
import type { Station } from "../api/types";
import { notifyDone, notifyProblem } from "../parts/Problem";
import { OnlineDot, ProtocolBadge } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./fleet.module.css";

/** Stations that connected and wait for an operator's word. */
export function WaitingRoom({ stations }: { stations: Station[] }) {
  return (
    <section aria-labelledby="waiting-title" className={`card ${css.waiting}`}>
      <div className={css.waitingHead}>
        <h2 id="waiting-title">{t.waiting.title}</h2>
        <span>{t.waiting.lead(stations.length)}</span>
      </div>
      <ul>
        {stations.map((station) => (
          <Guest key={station.id} station={station} />
        ))}
      </ul>
    </section>
  );
}

function Guest({ station }: { station: Station }) {
  const admission = useAdmission();
  const decide = (accept: boolean) =>
    admission.mutate(
      { station: station.id, accept },
      {
        onSuccess: () => notifyDone(accept ? t.waiting.accepted(station.id) : t.waiting.rejected(station.id)),
        onError: notifyProblem,
      },
    );
  return (
    <li>
      <OnlineDot online={station.online} />
      <Link to={`/stations/${encodeURIComponent(station.id)}`} className={css.id}>
        {station.id}
      </Link>
      <span className={css.model}>
        {`${station.vendor} ${station.model}`.trim() || t.waiting.unknownModel}
      </span>
      <ProtocolBadge protocol={station.protocol} />
      <span className={css.seen}>
        {t.waiting.since} <Time at={station.createdAt} form="ago" />
      </span>
      <span className={css.decide}>
        <Button
          size="compact-sm"
          loading={admission.isPending && admission.variables.accept}
          onClick={() => decide(true)}
          aria-label={t.waiting.acceptNamed(station.id)}
        >
          {t.waiting.accept}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={admission.isPending}
          onClick={() => decide(false)}
          aria-label={t.waiting.rejectNamed(station.id)}
        >
          {t.waiting.reject}
        </Button>
      </span>
    </li>
  );
}
