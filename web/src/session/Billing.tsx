import { Button } from "@mantine/core";
import { useState } from "react";
import type { Flag, Session } from "../api/types";
import { AlertIcon, CheckIcon, ClockIcon } from "../parts/icons";
import { Mark } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import { CloseDialog, ReleaseDialog } from "./BillingDialogs";
import css from "./billing.module.css";

const tones = { running: "work", held: "busy", ready: "good" };
const signs = { running: ClockIcon, held: AlertIcon, ready: CheckIcon };

/** The flags that keep, or would keep, a session from being billed. */
export function holding(session: Session): Flag[] {
  return session.flags.filter((flag) => flag.holds && !flag.resolvedAt);
}

/** Whether a session may be billed, what stands against it, and what an operator can do about that. */
export function Billing({ session }: { session: Session }) {
  const [open, setOpen] = useState<"release" | "close" | null>(null);
  const Sign = signs[session.billing];
  return (
    <section
      className={`card ${css.banner}`}
      data-tone={tones[session.billing]}
      data-billing={session.billing}
      aria-labelledby="billing"
    >
      <div className={css.head}>
        <span className={css.sign}>
          <Sign size={20} />
        </span>
        <div role="status">
          <h2 id="billing">{t.billing.titles[session.billing]}</h2>
          <p>{lead(session)}</p>
        </div>
        <div className={css.actions}>
          {session.state === "active" && (
            <Button variant="default" size="sm" onClick={() => setOpen("close")}>
              {t.billing.close}
            </Button>
          )}
          {session.billing === "held" && (
            <Button size="sm" onClick={() => setOpen("release")}>
              {t.billing.release}
            </Button>
          )}
        </div>
      </div>
      {session.flags.length > 0 && (
        <ul className={css.flags} aria-label={t.session.flags}>
          {session.flags.map((flag) => (
            <OneFlag
              key={`${flag.code} ${flag.at} ${flag.text}`}
              flag={flag}
              ended={session.state === "ended"}
            />
          ))}
        </ul>
      )}
      {open === "release" && <ReleaseDialog session={session} onClose={() => setOpen(null)} />}
      {open === "close" && <CloseDialog session={session} onClose={() => setOpen(null)} />}
    </section>
  );
}

function lead(session: Session): string {
  const n = holding(session).length;
  if (session.billing === "held") return t.billing.heldLead(n);
  if (session.billing === "running") return t.billing.runningLead(n);
  return session.flags.some((f) => f.holds) ? t.billing.readyReleased : t.billing.readyLead;
}

function OneFlag({ flag, ended }: { flag: Flag; ended: boolean }) {
  const open = !flag.resolvedAt;
  const effect = !flag.holds ? t.billing.notes : ended ? t.billing.holds : t.billing.mayHold;
  return (
    <li data-flag={flag.code} data-open={open}>
      <div className={css.flagLine}>
        <strong>{t.billing.flags[flag.code] ?? flag.code}</strong>
        <Mark tone={!open ? "good" : flag.holds ? "busy" : "off"}>{open ? effect : t.billing.resolved}</Mark>
        <span className={css.when}>
          <Time at={flag.at} />
        </span>
      </div>
      {flag.text && <p>{flag.text}</p>}
      {flag.resolvedAt && (
        <p className={css.resolution}>
          {t.billing.resolvedBy(
            flag.resolvedBy === "ledger" ? t.billing.ledger : (flag.resolvedBy ?? t.session.noToken),
          )}
          , <Time at={flag.resolvedAt} />
          {flag.resolution && <q>{flag.resolution}</q>}
        </p>
      )}
    </li>
  );
}
