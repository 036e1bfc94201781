import type { ReactNode } from "react";
import type { Note } from "../api/types";
import { type Tone, toneOf } from "../state";
import { t } from "../texts";
import { AlertIcon, BoltIcon, CheckIcon, ClockIcon, DashIcon, HalfIcon } from "./icons";
import css from "./parts.module.css";

const signs: Record<Tone, typeof BoltIcon> = {
  good: CheckIcon,
  work: BoltIcon,
  busy: HalfIcon,
  held: ClockIcon,
  bad: AlertIcon,
  off: DashIcon,
};

/** A connector's state: word, sign and colour, in this order of trust. */
export function StateChip({ state, title }: { state: string; title?: string }) {
  const tone = toneOf(state);
  const Sign = signs[tone];
  return (
    <span className={css.chip} data-tone={tone} data-state={state} title={title}>
      <Sign size={13} strokeWidth={2.4} />
      {t.state[state] ?? state}
    </span>
  );
}

/** A word about how something is, in the colours of states. */
export function Mark({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={css.mark} data-tone={tone}>
      {children}
    </span>
  );
}

export function ProtocolBadge({ protocol }: { protocol: string }) {
  if (!protocol) return null;
  return (
    <span className={css.protocol} data-protocol={protocol} title={`OCPP ${protocol}`}>
      {protocol}
    </span>
  );
}

/** A dot for a glance, and for everybody else the word. */
export function OnlineDot({ online }: { online: boolean }) {
  const word = online ? t.link.online : t.link.offline;
  return <span className={css.dot} data-online={online} role="img" aria-label={word} title={word} />;
}

export function Notes({ notes }: { notes: Note[] | null | undefined }) {
  if (!notes || notes.length === 0) return null;
  return (
    <ul className={css.notes}>
      {notes.map((note) => (
        <li key={`${note.kind} ${note.field} ${note.text}`}>
          <span className={css.note} data-kind={note.kind}>
            {t.note[note.kind] ?? note.kind}
          </span>
          {note.field && <code className={css.field}>{note.field}</code>}
          <span>{note.text}</span>
        </li>
      ))}
    </ul>
  );
}
