import { UnstyledButton } from "@mantine/core";
import type { ReactNode } from "react";
import { useOverview } from "../api/queries";
import type { Overview } from "../api/types";
import { count, energy, none, power } from "../format";
import { ProblemView } from "../parts/Problem";
import type { Tone } from "../state";
import { t } from "../texts";
import css from "./fleet.module.css";

type Props = { active: string; onState: (state: string) => void };

/** The network in seven numbers and one bar. The figures that name a state filter the list below. */
export function Figures({ active, onState }: Props) {
  const overview = useOverview();
  if (overview.isError && !overview.data) {
    return <ProblemView cause={overview.error} retry={() => void overview.refetch()} />;
  }
  const o = overview.data;
  const toggle = (state: string) => onState(active === state ? "" : state);
  return (
    <section aria-label={t.fleet.figures} className={`card ${css.figures}`}>
      <div className={css.row}>
        <Figure label={t.fleet.online} value={o && count(o.stations.online)}>
          {o && t.fleet.of(count(o.stations.total))}
        </Figure>
        {filterFigures.map(({ state, label, tone, of }) => (
          <UnstyledButton
            key={state}
            className={css.figureButton}
            aria-pressed={active === state}
            onClick={() => toggle(state)}
          >
            <Figure label={t.fleet[label]} value={o && count(of(o))} tone={tone}>
              {t.fleet.connectors}
            </Figure>
          </UnstyledButton>
        ))}
        <Figure label={t.fleet.power} value={o && power(o.powerW)}>
          {o && t.fleet.activeSessions(o.sessions.active, count(o.sessions.active))}
        </Figure>
        <Figure label={t.fleet.energy} value={o && energy(o.energyTodayWh)}>
          {o && t.fleet.sessionsToday(count(o.sessions.today))}
        </Figure>
      </div>
      <Bar overview={o} />
    </section>
  );
}

const filterFigures = [
  { state: "Available", label: "available", tone: "good", of: (o: Overview) => o.connectors.available },
  { state: "Charging", label: "charging", tone: "work", of: (o: Overview) => o.connectors.charging },
  { state: "Faulted", label: "faulted", tone: "bad", of: (o: Overview) => o.connectors.faulted },
] as const;

type FigureProps = { label: string; value: string | undefined; tone?: Tone; children?: ReactNode };

function Figure({ label, value, tone, children }: FigureProps) {
  return (
    <span className={css.figure} data-tone={tone}>
      <span className={css.label}>{label}</span>
      <span className={css.value}>{value ?? none}</span>
      <span className={css.sub}>{children}&nbsp;</span>
    </span>
  );
}

/** All connectors by state, to see at a glance how much of the network can be used. */
function Bar({ overview }: { overview: Overview | undefined }) {
  const c = overview?.connectors;
  const parts: [string, Tone, number][] = c
    ? [
        ["Charging", "work", c.charging],
        ["Occupied", "busy", Math.max(0, c.occupied - c.charging)],
        ["Reserved", "held", c.reserved],
        ["Available", "good", c.available],
        ["Unavailable", "off", c.unavailable + c.unknown],
        ["Faulted", "bad", c.faulted],
      ]
    : [];
  const label = parts
    .filter(([, , n]) => n > 0)
    .map(([state, , n]) => `${t.state[state]}: ${count(n)}`)
    .join(", ");
  return (
    <div className={css.bar} role="img" aria-label={label || none}>
      {parts.map(([state, tone, n]) =>
        n > 0 ? (
          <span
            key={state}
            data-tone={tone}
            style={{ flexGrow: n }}
            title={`${t.state[state]}: ${count(n)}`}
          />
        ) : null,
      )}
    </div>
  );
}
