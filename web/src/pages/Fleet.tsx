import { Button, SegmentedControl, Select, Skeleton, TextInput, UnstyledButton } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { lazy, type ReactNode, Suspense, useDeferredValue, useMemo, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { useFleet } from "../api/queries";
import { stationAddress } from "../fleet/address";
import { Figures } from "../fleet/Figures";
import { FleetList } from "../fleet/FleetList";
import css from "../fleet/fleet.module.css";
import { WaitingRoom } from "../fleet/WaitingRoom";
import { count } from "../format";
import { PlusIcon, SearchIcon } from "../parts/icons";
import { Empty, ProblemView } from "../parts/Problem";
import { usePageTitle } from "../parts/usePageTitle";
import { type FleetFilter, matches } from "../state";
import { t } from "../texts";

const ConnectDialog = lazy(() => import("../fleet/ConnectDialog"));

const filterStates = [
  "Available",
  "Charging",
  "Occupied",
  "Preparing",
  "SuspendedEV",
  "SuspendedEVSE",
  "Finishing",
  "Reserved",
  "Unavailable",
  "Faulted",
  "Offline",
];

/** Every station of the network, live. What is searched and filtered stands in the address. */
export function Fleet() {
  usePageTitle(t.fleet.title);
  const fleet = useFleet();
  const [connecting, setConnecting] = useState(false);
  const [search, setSearch] = useSearchParams();
  const filter: FleetFilter = {
    search: search.get("q") ?? "",
    state: search.get("state") ?? "",
    version: search.get("ocpp") ?? "",
  };
  const set = (name: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );

  const { pending, admitted } = useMemo(() => {
    const all = fleet.data
      ? fleet.data.ids.map((id) => fleet.data.byId[id]).filter((s) => s !== undefined)
      : [];
    return {
      pending: all.filter((s) => s.admission === "pending"),
      admitted: all.filter((s) => s.admission !== "pending"),
    };
  }, [fleet.data]);

  const wanted = useDeferredValue(filter.search);
  const shown = useMemo(
    () =>
      admitted.filter((s) => matches(s, { search: wanted, state: filter.state, version: filter.version })),
    [admitted, wanted, filter.state, filter.version],
  );

  return (
    <>
      <h1 className={css.title}>{t.fleet.title}</h1>
      <Figures onState={(state) => set("state", state)} active={filter.state} />
      {pending.length > 0 && <WaitingRoom stations={pending} />}
      <Filters filter={filter} set={set} shown={shown.length} total={admitted.length}>
        <Button leftSection={<PlusIcon size={16} />} onClick={() => setConnecting(true)}>
          {t.fleet.connect}
        </Button>
      </Filters>
      {fleet.isError && <ProblemView cause={fleet.error} retry={() => void fleet.refetch()} />}
      {fleet.isPending && <Loading />}
      {fleet.data && admitted.length === 0 && pending.length === 0 && (
        <div className="card">
          <Empty title={t.fleet.empty}>{t.fleet.emptyHint(stationAddress())}</Empty>
        </div>
      )}
      {admitted.length > 0 && shown.length === 0 && (
        <div className="card">
          <Empty title={t.fleet.nothing}>
            <UnstyledButton className={css.textButton} onClick={() => setSearch({}, { replace: true })}>
              {t.fleet.clear}
            </UnstyledButton>
          </Empty>
        </div>
      )}
      {shown.length > 0 && <FleetList stations={shown} />}
      {connecting && (
        <Suspense fallback={null}>
          <ConnectDialog onClose={() => setConnecting(false)} />
        </Suspense>
      )}
    </>
  );
}

type FiltersProps = {
  filter: FleetFilter;
  set: (name: string, value: string) => void;
  shown: number;
  total: number;
  children: ReactNode;
};

function Filters({ filter, set, shown, total, children }: FiltersProps) {
  const input = useRef<HTMLInputElement>(null);
  useHotkeys([["/", () => input.current?.focus()]]);
  return (
    <search className={css.filters}>
      <TextInput
        ref={input}
        className={css.search}
        type="search"
        aria-label={t.fleet.search}
        placeholder={t.fleet.searchHint}
        leftSection={<SearchIcon size={16} />}
        rightSection={filter.search ? null : <kbd className={css.key}>/</kbd>}
        value={filter.search}
        onChange={(e) => set("q", e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === "Escape") set("q", "");
        }}
      />
      <Select
        className={css.state}
        aria-label={t.fleet.state}
        placeholder={`${t.fleet.state}: ${t.fleet.any}`}
        clearable
        data={filterStates.map((s) => ({
          value: s,
          label: s === "Offline" ? t.fleet.offline : (t.state[s] ?? s),
        }))}
        value={filter.state || null}
        onChange={(value) => set("state", value ?? "")}
      />
      <SegmentedControl
        aria-label={t.fleet.version}
        data={[{ value: "", label: t.fleet.any }, "1.6", "2.0.1", "2.1"]}
        value={filter.version}
        onChange={(value) => set("ocpp", value)}
      />
      <span className={css.shown} role="status">
        {t.fleet.shown(total, count(shown), count(total))}
      </span>
      {children}
    </search>
  );
}

function Loading() {
  return (
    <div className="card" style={{ padding: 14, display: "grid", gap: 14 }} aria-busy="true">
      {["a", "b", "c", "d", "e"].map((k) => (
        <Skeleton key={k} height={34} radius="sm" />
      ))}
    </div>
  );
}
