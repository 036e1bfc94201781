import { Button, Group, Modal, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useAddToken, useChangeToken } from "../api/queries";
import type { Token } from "../api/types";
import { notifyDone, ProblemView } from "../parts/Problem";
import { t } from "../texts";
import { fromLocalInput, toLocalInput } from "./token";

/** Adds a token, or changes the one that is given. */
export function TokenDialog({ token, onClose }: { token?: Token; onClose: () => void }) {
  const add = useAddToken();
  const change = useChangeToken();
  const [uid, setUid] = useState(token?.uid ?? "");
  const [type, setType] = useState(token?.type ?? "ISO14443");
  const [group, setGroup] = useState(token?.group ?? "");
  const [until, setUntil] = useState(toLocalInput(token?.validUntil));
  const [note, setNote] = useState(token?.note ?? "");
  const [missing, setMissing] = useState(false);
  const validUntil = fromLocalInput(until);
  const problem = add.error ?? change.error;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const name = uid.trim();
    setMissing(!name);
    if (!name || validUntil === null) return;
    const fields = { type, group: group.trim(), note: note.trim() };
    if (token) {
      const validity = validUntil ? { validUntil } : { forever: true };
      // The input knows no seconds: a time that was not touched is not to lose them.
      const touched = until === toLocalInput(token.validUntil) ? {} : validity;
      change.mutate({ id: token.id, change: { ...fields, ...touched } }, { onSuccess: done(t.tokens.saved) });
    } else {
      add.mutate({ uid: name, ...fields, validUntil }, { onSuccess: done(t.tokens.added) });
    }
  };
  const done = (text: (uid: string) => string) => (saved: Token) => {
    notifyDone(text(saved.uid));
    onClose();
  };

  return (
    <Modal
      opened
      onClose={onClose}
      title={token ? t.tokens.editTitle(token.uid) : t.tokens.addTitle}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <form onSubmit={submit} noValidate>
        <Stack gap="md">
          <TextInput
            label={t.tokens.uid}
            description={token ? t.tokens.uidFixed : t.tokens.uidHint}
            error={missing && !uid.trim() ? t.tokens.needUid : undefined}
            value={uid}
            onChange={(e) => setUid(e.currentTarget.value)}
            readOnly={token !== undefined}
            maxLength={255}
            autoComplete="off"
            spellCheck={false}
            data-autofocus={token === undefined || undefined}
          />
          <Select
            label={t.tokens.type}
            data={[{ value: "", label: t.tokens.anyType }, ...t.tokenTypes]}
            value={type}
            onChange={(value) => setType(value ?? type)}
            allowDeselect={false}
          />
          <TextInput
            label={t.tokens.group}
            description={t.tokens.groupHint}
            value={group}
            onChange={(e) => setGroup(e.currentTarget.value)}
            maxLength={36}
            autoComplete="off"
          />
          <TextInput
            label={t.tokens.validUntil}
            description={t.tokens.validHint}
            error={validUntil === null ? t.tokens.badTime : undefined}
            type="datetime-local"
            value={until}
            onChange={(e) => setUntil(e.currentTarget.value)}
          />
          <Textarea
            label={t.tokens.note}
            description={t.tokens.noteHint}
            value={note}
            onChange={(e) => setNote(e.currentTarget.value)}
            maxLength={500}
            autosize
            minRows={2}
          />
          {problem && <ProblemView cause={problem} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t.dialog.cancel}
            </Button>
            <Button type="submit" loading={add.isPending || change.isPending}>
              {token ? t.tokens.save : t.tokens.addSubmit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
