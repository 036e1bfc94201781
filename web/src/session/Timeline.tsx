import { Button } from "@mantine/core";
import { useTimeline } from "../api/ledger";
import type { Entry } from "../api/types";
import { exactEnergy } from "../format";
import { AlertIcon, BoltIcon, PencilIcon, PlayIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./billing.module.css";
import session from "./session.module.css";

const signs = { message: BoltIcon, flag: AlertIcon, act: PencilIcon, command: PlayIcon };

/** How far a message's own time may be from its arrival before both are shown. */
const apartMs = 2000;

/** A session's story for people: what was said, concluded and done. */
export function Timeline({ id }: { id: string }) {
  const timeline = useTimeline(id);
  const items = timeline.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <section className={`card ${session.section}`} aria-labelledby="timeline">
      <h2 id="timeline" style={{ marginBottom: 2 }}>
        {t.timeline.title}
      </h2>
      <p className={session.dim} style={{ margin: "0 0 6px" }}>
        {t.timeline.lead}
      </p>
      {timeline.isError && <ProblemView cause={timeline.error} retry={() => void timeline.refetch()} />}
      {timeline.data && items.length === 0 && <Empty title={t.timeline.none} />}
      {items.length > 0 && (
        <ol className={css.timeline} aria-label={t.timeline.list}>
          {items.map((entry) => (
            <OneEntry key={`${entry.type} ${entry.id}`} entry={entry} />
          ))}
        </ol>
      )}
      {timeline.hasNextPage && (
        <div className={session.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={timeline.isFetchingNextPage}
            onClick={() => void timeline.fetchNextPage()}
          >
            {t.timeline.more}
          </Button>
        </div>
      )}
    </section>
  );
}

function OneEntry({ entry }: { entry: Entry }) {
  const Sign = signs[entry.type];
  return (
    <li data-type={entry.type} data-kind={entry.kind}>
      <span className={css.at}>
        <Time at={entry.at} form="seconds" />
      </span>
      <span className={css.bullet} title={t.timeline.types[entry.type]}>
        <Sign size={14} />
      </span>
      <div className={css.entry}>
        <div>{entry.text || entry.kind}</div>
        <div className={css.small}>
          <span>{headline(entry)}</span>
          {entry.stationTime && apart(entry) && (
            <span>
              {t.timeline.stationTime} <Time at={entry.stationTime} form="full" />
            </span>
          )}
          {particulars(entry).map((text) => (
            <span key={text}>{text}</span>
          ))}
        </div>
        {entry.data != null && (
          <details>
            <summary>{t.timeline.particulars}</summary>
            <pre className="code">{JSON.stringify(entry.data, null, 2)}</pre>
          </details>
        )}
      </div>
    </li>
  );
}

function headline(entry: Entry): string {
  const kind = entry.type === "flag" ? (t.billing.flags[entry.kind] ?? entry.kind) : entry.kind;
  const what = `${t.timeline.types[entry.type]}: ${kind}`;
  if (!entry.who || entry.type === "message") return what;
  return `${what}, ${t.timeline.by(t.timeline.who[entry.who] ?? entry.who)}`;
}

function apart(entry: Entry): boolean {
  return Math.abs(Date.parse(entry.stationTime ?? "") - Date.parse(entry.at)) > apartMs;
}

function particulars(entry: Entry): string[] {
  const m = entry.message;
  if (!m) return [];
  const out: string[] = [];
  if (m.seqNo !== null) out.push(t.timeline.seq(m.seqNo));
  if (m.trigger) out.push(t.timeline.trigger(m.trigger));
  if (m.registerWh !== null) out.push(t.timeline.register(exactEnergy(m.registerWh)));
  if (m.offline) out.push(t.timeline.offline);
  return out;
}
