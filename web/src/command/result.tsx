import { notifications } from "@mantine/notifications";
import type { CommandResult } from "../api/types";
import { Notes } from "../parts/StateChip";
import { t } from "../texts";

type Response = { status?: string; statusInfo?: { reasonCode?: string; additionalInfo?: string } };

/** The station's own word for what became of a command: most answers of OCPP carry `status`. */
export function statusOf(result: CommandResult): string {
  const response = result.response as Response | null | undefined;
  return response?.status ?? (result.status === "queued" ? "queued" : "");
}

export function statusDetail(result: CommandResult): string {
  const info = (result.response as Response | null | undefined)?.statusInfo;
  return [info?.reasonCode, info?.additionalInfo].filter(Boolean).join(": ");
}

const good = new Set(["", "Accepted", "Scheduled", "Unlocked", "RebootRequired", "queued"]);

/** Whether the station does what it was asked for. */
export function isGood(result: CommandResult): boolean {
  return good.has(statusOf(result));
}

/** Tells what a station answered, and how the command had to be translated. */
export function notifyResult(title: string, result: CommandResult): void {
  const status = statusOf(result);
  const ok = isGood(result);
  notifications.show({
    closeButtonProps: { "aria-label": t.dialog.close },
    color: ok ? "teal" : "red",
    title:
      result.status === "queued"
        ? t.command.queued(title)
        : ok && status === "Accepted"
          ? title
          : t.command.answered(title, status || t.command.done),
    message: (
      <>
        {statusDetail(result)}
        <Notes notes={result.translation} />
      </>
    ),
    autoClose: ok ? 6000 : 12_000,
  });
}
