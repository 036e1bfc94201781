import { ActionIcon, Alert, Button, Checkbox, Group, Menu, Modal, Stack, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router";
import { useNewPassword, useRemoveStation, useStrict } from "../api/queries";
import type { Station } from "../api/types";
import { MoreIcon } from "../parts/icons";
import { notifyDone, notifyProblem, ProblemView } from "../parts/Problem";
import { Secret } from "../parts/Secret";
import { t } from "../texts";
import css from "./station.module.css";

/** What an operator decides about a station rather than asks of it: its password, its strictness, its being here. */
export function StationMenu({ station }: { station: Station }) {
  const [open, setOpen] = useState<"password" | "remove" | null>(null);
  const strict = useStrict();
  const close = () => setOpen(null);
  const setStrict = (on: boolean) =>
    strict.mutate(
      { station: station.id, strict: on },
      {
        onSuccess: () => notifyDone(on ? t.manage.strictOn(station.id) : t.manage.strictOff(station.id)),
        onError: notifyProblem,
      },
    );
  return (
    <>
      <Menu position="bottom-end" width={320} alignItemsLabels="all" withInitialFocusPlaceholder={false}>
        <Menu.Target>
          <ActionIcon size={36} variant="default" aria-label={t.manage.menu(station.id)}>
            <MoreIcon />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => setOpen("password")}>{t.manage.password}</Menu.Item>
          <Menu.CheckboxItem checked={station.strict} disabled={strict.isPending} onChange={setStrict}>
            {t.manage.strict}
            <span className={css.menuHint}>{t.manage.strictHint}</span>
          </Menu.CheckboxItem>
          <Menu.Divider />
          <Menu.Item className="danger" onClick={() => setOpen("remove")}>
            {t.manage.remove}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {open === "password" && <PasswordDialog station={station} onClose={close} />}
      {open === "remove" && <RemoveDialog station={station} onClose={close} />}
    </>
  );
}

type DialogProps = { station: Station; onClose: () => void };

function PasswordDialog({ station, onClose }: DialogProps) {
  const make = useNewPassword();
  const password = make.data?.password;
  const [push, setPush] = useState(false);
  return (
    <Modal
      opened
      onClose={onClose}
      title={password ? t.manage.passwordDone(station.id) : t.manage.passwordTitle(station.id)}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <Stack gap="md">
        {password ? (
          <>
            {make.variables?.push && <p className={css.question}>{t.push.done}</p>}
            <Secret user={station.id} password={password} />
          </>
        ) : (
          <>
            <p className={css.question}>{push && station.online ? t.push.lead : t.manage.passwordLead}</p>
            {station.securityProfile === 0 && <Alert color="gray">{t.manage.passwordOpen}</Alert>}
            <Checkbox
              label={t.push.label}
              description={station.online ? t.push.hint : t.push.offline}
              checked={push && station.online}
              disabled={!station.online}
              onChange={(e) => setPush(e.currentTarget.checked)}
            />
          </>
        )}
        {make.isError && <ProblemView cause={make.error} />}
        <Group justify="flex-end" gap="sm">
          {password ? (
            <Button onClick={onClose}>{t.connect.done}</Button>
          ) : (
            <>
              <Button variant="default" onClick={onClose}>
                {t.dialog.cancel}
              </Button>
              <Button
                loading={make.isPending}
                onClick={() => make.mutate({ station: station.id, push: push && station.online })}
                data-autofocus
              >
                {t.manage.passwordSubmit}
              </Button>
            </>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

function RemoveDialog({ station, onClose }: DialogProps) {
  const remove = useRemoveStation();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const sure = typed.trim() === station.id;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!sure) return;
    remove.mutate(station.id, {
      onSuccess: () => {
        notifyDone(t.manage.removed(station.id));
        navigate("/", { replace: true });
      },
    });
  };
  return (
    <Modal
      opened
      onClose={onClose}
      title={t.manage.removeTitle(station.id)}
      closeButtonProps={{ "aria-label": t.dialog.close }}
    >
      <form onSubmit={submit}>
        <Stack gap="md">
          <p className={css.question}>{t.manage.removeLead}</p>
          <TextInput
            label={t.manage.removeConfirm(station.id)}
            value={typed}
            onChange={(e) => setTyped(e.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
          />
          {remove.isError && <ProblemView cause={remove.error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={onClose}>
              {t.dialog.cancel}
            </Button>
            <Button type="submit" color="red" disabled={!sure} loading={remove.isPending}>
              {t.manage.removeSubmit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
