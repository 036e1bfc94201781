import { Button, Popover } from "@mantine/core";
import { useState } from "react";
import { useStop } from "../api/queries";
import { StopIcon } from "../parts/icons";
import { notifyProblem } from "../parts/Problem";
import { t } from "../texts";
import { notifyResult, statusOf } from "./result";

type Props = { session: string; label: string; disabled?: boolean; size?: "compact-sm" | "sm" };

/** Stops a running session, after a second click: a driver is standing at the other end. */
export function StopButton({ session, label, disabled, size = "compact-sm" }: Props) {
  const [opened, setOpened] = useState(false);
  const stop = useStop();
  const confirm = () =>
    stop.mutate(session, {
      onSuccess: (result) => {
        setOpened(false);
        if (statusOf(result) === "Accepted") notifyResult(t.session.stopSent, result);
        else notifyResult("RequestStopTransaction", result);
      },
      onError: (cause) => {
        setOpened(false);
        notifyProblem(cause);
      },
    });
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      withArrow
      trapFocus
      returnFocus
      width={260}
    >
      <Popover.Target>
        <Button
          size={size}
          variant="outline"
          color="red"
          disabled={disabled}
          leftSection={size === "sm" ? <StopIcon size={16} /> : undefined}
          aria-label={label}
          onClick={() => setOpened((o) => !o)}
        >
          {t.fleet.stop}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t.session.stopTitle}>
        <strong>{t.session.stopTitle}</strong>
        <p style={{ margin: "4px 0 12px", fontSize: "0.8125rem" }}>{t.session.stopHint}</p>
        <Button size="compact-sm" color="red" loading={stop.isPending} onClick={confirm} data-autofocus>
          {t.session.stopConfirm}
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
