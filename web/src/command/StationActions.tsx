import { Button, Group, Modal, Radio, Select, Stack } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { type Send, useSend } from "../api/queries";
import type { Station } from "../api/types";
import { LockIcon, PlayIcon, PowerIcon, ResetIcon } from "../parts/icons";
import { ProblemView } from "../parts/Problem";
import { typeName } from "../state";
import { StationMenu } from "../station/StationMenu";
import { t } from "../texts";
import { notifyResult } from "./result";
import { StartDialog } from "./StartDialog";

type Which = "start" | "reset" | "unlock" | "availability";

/** The commands that an operator needs every day. */
export function StationActions({ station }: { station: Station }) {
  const [open, setOpen] = useState<Which | null>(null);
  const close = () => setOpen(null);
  const off = !station.online;
  return (
    <fieldset className="actions" aria-label={t.station.commands}>
      <Button size="sm" disabled={off} leftSection={<PlayIcon size={16} />} onClick={() => setOpen("start")}>
        {t.station.start}
      </Button>
      <Plain icon={<ResetIcon size={16} />} disabled={off} onClick={() => setOpen("reset")}>
        {t.station.reset}
      </Plain>
      <Plain icon={<LockIcon size={16} />} disabled={off} onClick={() => setOpen("unlock")}>
        {t.station.unlock}
      </Plain>
      <Plain icon={<PowerIcon size={16} />} disabled={off} onClick={() => setOpen("availability")}>
        {t.station.availability}
      </Plain>
      <StationMenu station={station} />
      {open === "start" && <StartDialog station={station} onClose={close} />}
      {open === "reset" && <ResetDialog station={station} onClose={close} />}
      {open === "unlock" && <UnlockDialog station={station} onClose={close} />}
      {open === "availability" && <AvailabilityDialog station={station} onClose={close} />}
    </fieldset>
  );
}

type PlainProps = { icon: ReactNode; disabled: boolean; onClick: () => void; children: ReactNode };

function Plain({ icon, disabled, onClick, children }: PlainProps) {
  return (
    <Button size="sm" variant="default" disabled={disabled} leftSection={icon} onClick={onClick}>
      {children}
    </Button>
  );
}

type CommandDialogProps = {
  title: string;
  submit: string;
  danger?: boolean;
  command: () => Send;
  onClose: () => void;
  children: ReactNode;
};

/** One question, one command: sends it, tells what the station said, and stays open with the problem if it fails. */
function CommandDialog({ title, submit, danger, command, onClose, children }: CommandDialogProps) {
  const send = useSend();
  const go = (event: FormEvent) => {
    event.preventDefault();
    const what = command();
    send.mutate(what, {
      onSuccess: (result) => {
        notifyResult(what.action, result);
        onClose();
      },
    });
  };
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ "aria-label": t.dialog.close }}>
      <form onSubmit={go}>
        <Stack gap="md">
          {children}
          {send.isError && <ProblemView cause={send.error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t.dialog.cancel}
            </Button>
            <Button type="submit" color={danger ? "red" : undefined} loading={send.isPending}>
              {submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

type DialogProps = { station: Station; onClose: () => void };

function ResetDialog({ station, onClose }: DialogProps) {
  const [type, setType] = useState("OnIdle");
  return (
    <CommandDialog
      title={t.reset.title(station.id)}
      submit={t.reset.submit}
      danger
      onClose={onClose}
      command={() => ({ station: station.id, action: "Reset", payload: { type } })}
    >
      <Radio.Group label={t.reset.when} value={type} onChange={setType}>
        <Stack gap="xs" mt="xs">
          <Radio value="OnIdle" label={t.reset.OnIdle} />
          <Radio value="Immediate" label={t.reset.Immediate} description={t.reset.warning} />
        </Stack>
      </Radio.Group>
    </CommandDialog>
  );
}

function UnlockDialog({ station, onClose }: DialogProps) {
  const places = station.evses.flatMap((e) =>
    e.connectors.map((c) => ({
      value: `${e.id}/${c.id}`,
      label: `${t.station.evse(e.id)} · ${t.station.connector(c.id)} ${typeName(c.type)}`.trim(),
    })),
  );
  const [place, setPlace] = useState(places[0]?.value ?? "1/1");
  const [evseId, connectorId] = place.split("/").map(Number);
  return (
    <CommandDialog
      title={t.unlock.title(station.id)}
      submit={t.unlock.submit}
      onClose={onClose}
      command={() => ({ station: station.id, action: "UnlockConnector", payload: { evseId, connectorId } })}
    >
      <Select
        label={t.unlock.connector}
        data={places}
        value={place}
        onChange={(value) => setPlace(value ?? place)}
        allowDeselect={false}
      />
    </CommandDialog>
  );
}

function AvailabilityDialog({ station, onClose }: DialogProps) {
  const [scope, setScope] = useState("0");
  const [status, setStatus] = useState("Operative");
  const evse = scope === "0" ? {} : { evse: { id: Number(scope) } };
  return (
    <CommandDialog
      title={t.availability.title(station.id)}
      submit={t.availability.submit}
      onClose={onClose}
      command={() => ({
        station: station.id,
        action: "ChangeAvailability",
        payload: { operationalStatus: status, ...evse },
      })}
    >
      <Select
        label={t.availability.scope}
        data={[
          { value: "0", label: t.availability.whole },
          ...station.evses.map((e) => ({ value: String(e.id), label: t.station.evse(e.id) })),
        ]}
        value={scope}
        onChange={(value) => setScope(value ?? scope)}
        allowDeselect={false}
      />
      <Radio.Group label={t.availability.state} value={status} onChange={setStatus}>
        <Stack gap="xs" mt="xs">
          <Radio value="Operative" label={t.availability.Operative} />
          <Radio value="Inoperative" label={t.availability.Inoperative} />
        </Stack>
      </Radio.Group>
    </CommandDialog>
  );
}
