import { Autocomplete, Button, Group, Modal, Select, Stack } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Problem } from "../api/problem";
import { useSend, useTokens } from "../api/queries";
import type { Station } from "../api/types";
import { ProblemView } from "../parts/Problem";
import { connectorState } from "../state";
import { t } from "../texts";
import { isGood, notifyResult, statusDetail, statusOf } from "./result";

type Props = { station: Station; evse?: number; onClose: () => void };

/** Starts a session from here: where, and on whose token. */
export function StartDialog({ station, evse, onClose }: Props) {
  const tokens = useTokens();
  const send = useSend();
  const [where, setWhere] = useState(String(evse ?? firstFree(station) ?? ""));
  const [uid, setUid] = useState("");
  const [type, setType] = useState("ISO14443");
  const [missing, setMissing] = useState(false);
  const [refused, setRefused] = useState<Problem | null>(null);

  const active = (tokens.data ?? []).filter((token) => token.status === "active");
  const choose = (value: string) => {
    setUid(value);
    setMissing(false);
    const known = active.find((token) => token.uid === value);
    if (known?.type) setType(known.type);
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!uid.trim()) {
      setMissing(true);
      return;
    }
    setRefused(null);
    const payload = {
      idToken: { idToken: uid.trim(), type },
      remoteStartId: newRemoteStartId(),
      evseId: Number(where),
    };
    send.mutate(
      { station: station.id, action: "RequestStartTransaction", payload },
      {
        onSuccess: (result) => {
          if (!isGood(result)) {
            const title = t.command.answered("RequestStartTransaction", statusOf(result));
            setRefused(new Problem(0, title, statusDetail(result)));
            return;
          }
          notifyResult(t.start.sent(station.id), result);
          onClose();
        },
      },
    );
  };

  return (
    <Modal
      opened
      onClose={onClose}
      title={t.start.title(station.id)}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <form onSubmit={submit}>
        <Stack gap="md">
          <Select
            label={t.start.evse}
            description={t.start.evseHint}
            data={station.evses.map((e) => ({
              value: String(e.id),
              label: `${t.station.evse(e.id)} · ${e.connectors.map((c) => stateName(connectorState(c, e))).join(", ")}`,
              disabled: e.session !== null,
            }))}
            value={where}
            onChange={(value) => setWhere(value ?? where)}
            allowDeselect={false}
          />
          <Autocomplete
            label={t.start.token}
            description={t.start.tokenHint}
            error={missing ? t.start.needToken : undefined}
            data={[...new Set(active.map((token) => token.uid))]}
            value={uid}
            onChange={choose}
            maxLength={255}
            limit={50}
            openOnFocus={false}
            data-autofocus
          />
          <Select
            label={t.start.type}
            data={t.tokenTypes}
            value={type}
            onChange={(value) => setType(value ?? type)}
            allowDeselect={false}
          />
          {refused && <ProblemView cause={refused} />}
          {send.isError && <ProblemView cause={send.error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t.dialog.cancel}
            </Button>
            <Button type="submit" loading={send.isPending}>
              {t.start.submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function stateName(state: string): string {
  return t.state[state] ?? state;
}

function firstFree(station: Station): number | undefined {
  return (station.evses.find((e) => !e.session) ?? station.evses[0])?.id;
}

/** OCPP wants a number of its own for each remote start; it fits 31 bits for stations with signed integers. */
export function newRemoteStartId(): number {
  const [value = 1] = crypto.getRandomValues(new Uint32Array(1));
  return value >>> 1 || 1;
}
