import { ActionIcon, Button, TextInput } from "@mantine/core";
import { type FormEvent, useDeferredValue, useMemo, useState } from "react";
import { Problem } from "../api/problem";
import { useSend, useVariables } from "../api/queries";
import type { Variable } from "../api/types";
import { notifyResult } from "../command/result";
import { count } from "../format";
import { PencilIcon, SearchIcon } from "../parts/icons";
import { Empty, notifyDone, notifyProblem, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** How many rows are drawn at once; the search narrows down the rest. */
const drawn = 300;

type Props = { station: string; online: boolean };

/** The station's device model: read, search, change. */
export function VariablesTab({ station, online }: Props) {
  const variables = useVariables(station);
  const [search, setSearch] = useState("");
  const [limit, setLimit] = useState(drawn);
  const wanted = useDeferredValue(search.trim().toLowerCase());
  const all = variables.data ?? [];
  const found = useMemo(
    () =>
      all.filter(
        (v) => !wanted || `${componentName(v)} ${variableName(v)} ${v.value}`.toLowerCase().includes(wanted),
      ),
    [all, wanted],
  );
  if (variables.isError) {
    return (
      <div className={css.block}>
        <ProblemView cause={variables.error} retry={() => void variables.refetch()} />
      </div>
    );
  }
  if (variables.data && all.length === 0) return <AskForReport station={station} online={online} />;
  return (
    <>
      <div className={css.toolbar}>
        <TextInput
          className={css.grow}
          size="xs"
          type="search"
          aria-label={t.variables.search}
          placeholder={t.variables.search}
          leftSection={<SearchIcon size={14} />}
          value={search}
          onChange={(e) => setSearch(e.currentTarget.value)}
        />
        <span className={css.right} role="status">
          {t.variables.shown(count(found.length), count(all.length))}
        </span>
      </div>
      {found.length === 0 && variables.data && <Empty title={t.variables.noMatch} />}
      {found.length > 0 && (
        <Scroll label={t.variables.list}>
          <table className="table" aria-label={t.variables.list}>
            <thead>
              <tr>
                <th>{t.variables.component}</th>
                <th>{t.variables.variable}</th>
                <th>{t.variables.value}</th>
                <th>{t.variables.unit}</th>
                <th>{t.variables.mutability}</th>
                <th>{t.variables.updated}</th>
              </tr>
            </thead>
            <tbody>
              {found.slice(0, limit).map((v) => (
                <Row key={keyOf(v)} station={station} variable={v} online={online} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {found.length > limit && (
        <div className={css.foot}>
          <Button size="compact-sm" variant="default" onClick={() => setLimit((n) => n + drawn)}>
            {t.session.more}
          </Button>
        </div>
      )}
    </>
  );
}

function AskForReport({ station, online }: Props) {
  const send = useSend();
  const [requestId] = useState(() => Math.floor(Math.random() * 1_000_000) + 1);
  const ask = () =>
    send.mutate(
      { station, action: "GetBaseReport", payload: { requestId, reportBase: "FullInventory" } },
      { onSuccess: (result) => notifyResult(t.variables.asked, result), onError: notifyProblem },
    );
  return (
    <Empty title={t.variables.none}>
      <Button mt="sm" size="sm" variant="default" disabled={!online} loading={send.isPending} onClick={ask}>
        {t.variables.ask}
      </Button>
    </Empty>
  );
}

function Row({ station, variable: v, online }: { station: string; variable: Variable; online: boolean }) {
  const [editing, setEditing] = useState(false);
  const name = variableName(v);
  const writable = v.mutability !== "ReadOnly" && v.attribute === "Actual";
  return (
    <tr className={css.variable}>
      <td className={css.name}>{componentName(v)}</td>
      <td className={css.name}>
        {name} {v.attribute !== "Actual" && <small>{v.attribute}</small>}
      </td>
      <td>
        {editing ? (
          <Editor station={station} variable={v} onClose={() => setEditing(false)} />
        ) : (
          <span className={css.value}>
            <span className="mono">{v.mutability === "WriteOnly" ? t.variables.secret : v.value}</span>
            {writable && (
              <ActionIcon
                size="sm"
                variant="subtle"
                color="gray"
                disabled={!online}
                aria-label={t.variables.edit(name)}
                onClick={() => setEditing(true)}
              >
                <PencilIcon size={14} />
              </ActionIcon>
            )}
          </span>
        )}
      </td>
      <td>{v.unit}</td>
      <td className="num">{t.variables.access[v.mutability] ?? v.mutability}</td>
      <td>
        <Time at={v.updatedAt} />
      </td>
    </tr>
  );
}

type SetResult = {
  attributeStatus?: string;
  attributeStatusInfo?: { reasonCode?: string; additionalInfo?: string };
};

function Editor({
  station,
  variable: v,
  onClose,
}: {
  station: string;
  variable: Variable;
  onClose: () => void;
}) {
  const [value, setValue] = useState(v.mutability === "WriteOnly" ? "" : v.value);
  const [refused, setRefused] = useState<Problem | null>(null);
  const send = useSend();
  const variables = useVariables(station);
  const name = variableName(v);

  const save = (event: FormEvent) => {
    event.preventDefault();
    setRefused(null);
    send.mutate(
      { station, action: "SetVariables", payload: { setVariableData: [toSet(v, value)] } },
      {
        onSuccess: (result) => {
          const answer = (result.response as { setVariableResult?: SetResult[] } | null)
            ?.setVariableResult?.[0];
          const status = answer?.attributeStatus ?? "";
          if (status !== "Accepted" && status !== "RebootRequired") {
            const info = answer?.attributeStatusInfo;
            const why = [info?.reasonCode, info?.additionalInfo].filter(Boolean).join(": ");
            setRefused(new Problem(0, t.command.answered(name, status || t.command.done), why));
            return;
          }
          notifyDone(status === "RebootRequired" ? t.variables.reboot(name) : t.variables.saved(name));
          void variables.refetch();
          onClose();
        },
      },
    );
  };

  return (
    <form onSubmit={save} className={css.editor}>
      <TextInput
        size="xs"
        aria-label={t.variables.valueOf(name)}
        value={value}
        onChange={(e) => setValue(e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === "Escape") onClose();
        }}
        autoFocus
      />
      <Button type="submit" size="compact-sm" loading={send.isPending}>
        {t.variables.save}
      </Button>
      <Button size="compact-sm" variant="default" onClick={onClose}>
        {t.variables.cancel}
      </Button>
      {(refused ?? (send.isError && send.error)) && <ProblemView cause={refused ?? send.error} />}
    </form>
  );
}

/** One entry of SetVariables; what does not apply is left out, as the message's schema wants. */
export function toSet(v: Variable, value: string): Record<string, unknown> {
  const evse = !v.evse
    ? {}
    : { evse: !v.connector ? { id: v.evse } : { id: v.evse, connectorId: v.connector } };
  const instance = v.componentInstance ? { instance: v.componentInstance } : {};
  const variableInstance = v.variableInstance ? { instance: v.variableInstance } : {};
  return {
    attributeValue: value,
    component: { name: v.component, ...instance, ...evse },
    variable: { name: v.variable, ...variableInstance },
  };
}

function componentName(v: Variable): string {
  const place = !v.evse ? "" : !v.connector ? ` @${v.evse}` : ` @${v.evse}.${v.connector}`;
  return `${v.component}${v.componentInstance ? `[${v.componentInstance}]` : ""}${place}`;
}

function variableName(v: Variable): string {
  return `${v.variable}${v.variableInstance ? `[${v.variableInstance}]` : ""}`;
}

function keyOf(v: Variable): string {
  return `${componentName(v)}|${variableName(v)}|${v.attribute}`;
}
