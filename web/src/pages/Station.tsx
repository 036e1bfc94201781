import { Skeleton, Tabs } from "@mantine/core";
import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import { toProblem } from "../api/problem";
import { useStation } from "../api/queries";
import { StationActions } from "../command/StationActions";
import { LeftIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { OnlineDot, ProtocolBadge } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { usePageTitle } from "../parts/usePageTitle";
import { SessionList } from "../session/SessionList";
import { Blocked } from "../station/Blocked";
import { CommandsTab } from "../station/CommandsTab";
import { EvseCards } from "../station/EvseCards";
import { FramesTab } from "../station/FramesTab";
import { GuardianTab } from "../station/GuardianTab";
import { HistoryTab } from "../station/HistoryTab";
import { Identity } from "../station/Identity";
import { NoticesTab } from "../station/NoticesTab";
import css from "../station/station.module.css";
import { VariablesTab } from "../station/VariablesTab";
import { t } from "../texts";

const tabs = ["frames", "sessions", "variables", "history", "guardian", "notices", "commands"] as const;

export function StationPage() {
  const { id = "" } = useParams();
  // A station of its own: everything inside starts anew when another one is opened.
  return <OneStation key={id} id={id} />;
}

function OneStation({ id }: { id: string }) {
  usePageTitle(id);
  const station = useStation(id);
  const [search, setSearch] = useSearchParams();
  const navigate = useNavigate();
  const tab = search.get("tab") ?? "frames";

  const name = station.data ? `${station.data.vendor} ${station.data.model}`.trim() : "";
  if (station.isError && toProblem(station.error).status === 404) {
    return (
      <Empty title={t.station.notFound}>
        <Link to="/">{t.errors.toFleet}</Link>
      </Empty>
    );
  }
  return (
    <>
      <Link to="/" className={css.back} onClick={(e) => goBack(e, () => navigate(-1))}>
        <LeftIcon size={15} /> {t.station.back}
      </Link>
      <div className={css.head}>
        <h1>
          {station.data && <OnlineDot online={station.data.online} />}
          {id}
          {station.data && <ProtocolBadge protocol={station.data.protocol} />}
        </h1>
        {station.data && (
          <span className={css.subtitle}>
            {name}
            {!station.data.online && (
              <span className={css.away}>
                {name && " · "}
                {t.link.offline},{" "}
                {station.data.lastSeen ? <Time at={station.data.lastSeen} form="ago" /> : t.link.neverSeen}
              </span>
            )}
          </span>
        )}
        {station.data && <StationActions station={station.data} />}
      </div>
      {station.isError && <ProblemView cause={station.error} retry={() => void station.refetch()} />}
      {station.data?.blocked && <Blocked station={id} block={station.data.blocked} />}
      {station.data ? (
        <div className={css.top}>
          <EvseCards station={station.data} />
          <Identity station={station.data} />
        </div>
      ) : (
        <Skeleton height={220} radius="md" />
      )}
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(value) => setSearch(value ? { tab: value } : {}, { replace: true })}
        className={css.tabs}
      >
        <Tabs.List aria-label={t.station.tabs.label} className={css.tabList}>
          {tabs.map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t.station.tabs[name]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <div className={`card ${css.panel}`}>
          <Tabs.Panel value="frames">
            <FramesTab station={id} />
          </Tabs.Panel>
          <Tabs.Panel value="sessions">
            <SessionList filter={{ station: id }} />
          </Tabs.Panel>
          <Tabs.Panel value="variables">
            <VariablesTab station={id} online={station.data?.online ?? false} />
          </Tabs.Panel>
          <Tabs.Panel value="history">
            <HistoryTab station={id} />
          </Tabs.Panel>
          <Tabs.Panel value="guardian">
            <GuardianTab station={id} />
          </Tabs.Panel>
          <Tabs.Panel value="notices">
            <NoticesTab station={id} />
          </Tabs.Panel>
          <Tabs.Panel value="commands">
            <CommandsTab station={id} />
          </Tabs.Panel>
        </div>
      </Tabs>
    </>
  );
}

/** Back to the fleet as it was left, with its search; a page that was opened directly has nothing to go back to. */
function goBack(event: React.MouseEvent, back: () => void): void {
  const state = window.history.state as { idx?: number } | null;
  if (!state?.idx || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  back();
}
