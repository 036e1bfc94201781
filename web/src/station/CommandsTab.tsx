import { Button, Checkbox, Group, Select, Stack, Textarea } from "@mantine/core";
import { type FormEvent, Fragment, useState } from "react";
import { Link } from "react-router";
import { useCommands, useSend } from "../api/queries";
import type { Command, CommandResult } from "../api/types";
import { isGood, statusOf } from "../command/result";
import { template, templates } from "../command/templates";
import { duration, pretty } from "../format";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Notes } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** Any command, in OCPP 2.1 whatever the station speaks, and every command that was sent before. */
export function CommandsTab({ station }: { station: string }) {
  return (
    <>
      <FreeForm station={station} />
      <History station={station} />
    </>
  );
}

type Parsed = { payload: Record<string, unknown> } | { error: string };

/** Reads what is in the editor: a JSON object, or why it is none. */
export function parsePayload(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return { error: t.command.notJson(cause instanceof Error ? cause.message : String(cause)) };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return { error: t.command.notObject };
  return { payload: value as Record<string, unknown> };
}

function FreeForm({ station }: { station: string }) {
  const [action, setAction] = useState("GetVariables");
  const [text, setText] = useState(template("GetVariables"));
  const [queue, setQueue] = useState(false);
  const send = useSend();
  const parsed = parsePayload(text);
  const error = "error" in parsed ? parsed.error : undefined;

  const choose = (next: string | null) => {
    if (!next) return;
    setAction(next);
    setText(template(next));
    send.reset();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if ("payload" in parsed) send.mutate({ station, action, payload: parsed.payload, queue });
  };

  return (
    <section className={css.block} aria-labelledby="free">
      <h2 id="free">{t.command.free}</h2>
      <p className={css.lead}>{t.command.freeLead}</p>
      <div className={css.free}>
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Select
              label={t.command.action}
              data={Object.keys(templates)}
              value={action}
              onChange={choose}
              searchable
              allowDeselect={false}
            />
            <Textarea
              label={t.command.body}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
              error={error}
              autosize
              minRows={6}
              maxRows={22}
              spellCheck={false}
              styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 13 } }}
            />
            <Checkbox
              label={t.command.queue}
              checked={queue}
              onChange={(e) => setQueue(e.currentTarget.checked)}
            />
            <Group gap="sm">
              <Button type="submit" disabled={error !== undefined} loading={send.isPending}>
                {t.command.send}
              </Button>
              <Button variant="default" disabled={error !== undefined} onClick={() => setText(pretty(text))}>
                {t.command.format}
              </Button>
            </Group>
          </Stack>
        </form>
        <div aria-live="polite">
          {send.isError && <ProblemView cause={send.error} />}
          {send.data && <Result action={send.variables.action} result={send.data} />}
        </div>
      </div>
    </section>
  );
}

function Result({ action, result }: { action: string; result: CommandResult }) {
  const status = statusOf(result);
  return (
    <div className={css.result} style={{ marginTop: 0 }}>
      <strong style={{ color: isGood(result) ? undefined : "var(--bad-fg)" }}>
        {result.status === "queued"
          ? t.command.queued(action)
          : t.command.answered(action, status || t.command.done)}
      </strong>
      <Notes notes={result.translation} />
      {result.response != null && <pre className="code">{JSON.stringify(result.response, null, 2)}</pre>}
    </div>
  );
}

function History({ station }: { station: string }) {
  const commands = useCommands(station);
  const items = commands.data?.pages.flatMap((page) => page.items) ?? [];
  const [open, setOpen] = useState<string | null>(null);
  return (
    <section className={css.section} aria-labelledby="commands-history">
      <h2 id="commands-history">{t.command.history}</h2>
      {commands.isError && (
        <div className={css.block}>
          <ProblemView cause={commands.error} retry={() => void commands.refetch()} />
        </div>
      )}
      {commands.data && items.length === 0 && <Empty title={t.command.none} />}
      {items.length > 0 && (
        <Scroll label={t.command.history}>
          <table className="table" aria-labelledby="commands-history">
            <thead>
              <tr>
                <th>{t.command.at}</th>
                <th>{t.command.action}</th>
                <th>{t.command.status}</th>
                <th>{t.command.took}</th>
                <th>{t.command.by}</th>
                <th aria-label={t.command.show} />
              </tr>
            </thead>
            <tbody>
              {items.map((command) => (
                <Fragment key={command.id}>
                  <tr>
                    <td>
                      <Time at={command.createdAt} />
                    </td>
                    <td>{command.action}</td>
                    <td>
                      {t.command.statuses[command.status] ?? command.status}
                      {command.outcome && <Outcome outcome={command.outcome} />}
                    </td>
                    <td>{command.finishedAt ? took(command) : ""}</td>
                    <td>{command.by}</td>
                    <td className="end">
                      <Button
                        size="compact-xs"
                        variant="default"
                        aria-expanded={open === command.id}
                        onClick={() => setOpen(open === command.id ? null : command.id)}
                      >
                        {open === command.id ? t.command.hide : t.command.show}
                      </Button>
                    </td>
                  </tr>
                  {open === command.id && (
                    <tr>
                      <td colSpan={6}>
                        <Details command={command} />
                      </td>
                    </tr>
                  )}
                </Fragment>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {commands.hasNextPage && (
        <div className={css.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={commands.isFetchingNextPage}
            onClick={() => void commands.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </section>
  );
}

/** What came of an accepted remote start. */
function Outcome({ outcome }: { outcome: NonNullable<Command["outcome"]> }) {
  return (
    <div className={css.outcome} title={outcome.text} data-outcome={outcome.state}>
      {t.outcome[outcome.state] ?? outcome.state}{" "}
      {outcome.session && <Link to={`/sessions/${outcome.session}`}>{t.outcome.session}</Link>}
    </div>
  );
}

function took(command: Command): string {
  const ms = Date.parse(command.finishedAt ?? "") - Date.parse(command.createdAt);
  return ms < 60_000
    ? `${(ms / 1000).toFixed(2)} s`
    : duration(command.createdAt, Date.parse(command.finishedAt ?? ""));
}

function Details({ command }: { command: Command }) {
  const parts: [string, unknown][] = [
    [t.command.request, command.request],
    [t.command.response, command.response],
    [t.command.error, command.error],
  ];
  return (
    <div className={css.result} style={{ marginTop: 0 }}>
      <Notes notes={command.translation} />
      {parts.map(([name, value]) =>
        value == null || value === "" ? null : (
          <div key={name}>
            <span className={css.dim}>{name}</span>
            <pre className="code">
              {typeof value === "string" ? pretty(value) : JSON.stringify(value, null, 2)}
            </pre>
          </div>
        ),
      )}
    </div>
  );
}
