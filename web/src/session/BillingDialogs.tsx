import { Button, Checkbox, Group, Modal, Stack, Textarea } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useClose, useRelease } from "../api/ledger";
import type { Session } from "../api/types";
import { notifyDone, ProblemView } from "../parts/Problem";
import { t } from "../texts";
import { holding } from "./Billing";
import css from "./billing.module.css";

type Props = { session: Session; onClose: () => void };

/** Longest reason that the API keeps. */
const longestReason = 500;

/** Asks why a held session may be billed, and for which of its flags that holds. */
export function ReleaseDialog({ session, onClose }: Props) {
  const release = useRelease();
  // As they stood when the dialog was opened: what comes meanwhile was not looked at and is not released.
  const [flags] = useState(() => holding(session));
  const [chosen, setChosen] = useState(() => flags.map((f) => f.code));
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setAsked(true);
    const why = reason.trim();
    if (!why || chosen.length === 0) return;
    release.mutate(
      { session: session.id, reason: why, flags: chosen },
      {
        onSuccess: (changed) => {
          notifyDone(changed.billing === "ready" ? t.billing.released : t.billing.stillHeld);
          onClose();
        },
      },
    );
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t.billing.releaseTitle}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <p className={css.question}>{t.billing.releaseLead}</p>
          <Checkbox.Group
            label={t.billing.releaseFlags}
            value={chosen}
            onChange={setChosen}
            error={asked && chosen.length === 0 && t.billing.needFlag}
          >
            <Stack gap={8} mt={6}>
              {flags.map((flag) => (
                <Checkbox
                  key={flag.code}
                  value={flag.code}
                  label={t.billing.flags[flag.code] ?? flag.code}
                  description={flag.text}
                />
              ))}
            </Stack>
          </Checkbox.Group>
          <Reason hint={t.billing.releaseHint} value={reason} onChange={setReason} asked={asked} />
          {release.isError && <ProblemView cause={release.error} />}
          <Buttons submit={t.billing.releaseSubmit} loading={release.isPending} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}

/** Asks why a running session is over although its station has not said so. */
export function CloseDialog({ session, onClose }: Props) {
  const close = useClose();
  const [reason, setReason] = useState("");
  const [force, setForce] = useState(false);
  const [asked, setAsked] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setAsked(true);
    const why = reason.trim();
    if (!why) return;
    close.mutate(
      { session: session.id, reason: why, force },
      {
        onSuccess: () => {
          notifyDone(t.billing.closed);
          onClose();
        },
      },
    );
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t.billing.closeTitle}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <p className={css.question}>{t.billing.closeLead}</p>
          <Reason hint={t.billing.closeHint} value={reason} onChange={setReason} asked={asked} />
          <Checkbox
            label={t.billing.force}
            checked={force}
            onChange={(e) => setForce(e.currentTarget.checked)}
          />
          {close.isError && <ProblemView cause={close.error} />}
          <Buttons submit={t.billing.closeSubmit} loading={close.isPending} onClose={onClose} danger />
        </Stack>
      </form>
    </Modal>
  );
}

type ReasonProps = { hint: string; value: string; onChange: (value: string) => void; asked: boolean };

function Reason({ hint, value, onChange, asked }: ReasonProps) {
  return (
    <Textarea
      label={t.billing.reason}
      description={hint}
      required
      autosize
      minRows={2}
      maxRows={8}
      maxLength={longestReason}
      value={value}
      onChange={(e) => onChange(e.currentTarget.value)}
      error={asked && !value.trim() && t.billing.needReason}
      data-autofocus
    />
  );
}

type ButtonsProps = { submit: string; loading: boolean; onClose: () => void; danger?: boolean };

function Buttons({ submit, loading, onClose, danger }: ButtonsProps) {
  return (
    <Group justify="flex-end" gap="sm">
      <Button variant="default" onClick={onClose}>
        {t.dialog.cancel}
      </Button>
      <Button type="submit" color={danger ? "red" : undefined} loading={loading}>
        {submit}
      </Button>
    </Group>
  );
}
