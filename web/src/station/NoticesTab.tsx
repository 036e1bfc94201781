import { Button, Select } from "@mantine/core";
import { useState } from "react";
import { useNotices } from "../api/queries";
import { Empty, ProblemView } from "../parts/Problem";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** The messages that a station may send by itself and that are kept as they came. */
const kinds = [
  "NotifyEvent",
  "SecurityEventNotification",
  "FirmwareStatusNotification",
  "PublishFirmwareStatusNotification",
  "LogStatusNotification",
  "NotifyChargingLimit",
  "ClearedChargingLimit",
  "NotifyEVChargingNeeds",
  "NotifyEVChargingSchedule",
  "NotifyDisplayMessages",
  "NotifyCustomerInformation",
  "NotifyMonitoringReport",
  "ReservationStatusUpdate",
  "NotifyDERAlarm",
  "NotifyPriorityCharging",
  "BatterySwap",
];

export function NoticesTab({ station }: { station: string }) {
  const [action, setAction] = useState<string | null>(null);
  const notices = useNotices(station, action);
  const items = notices.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <div className={css.toolbar}>
        <Select
          size="xs"
          w={250}
          aria-label={t.notices.action}
          placeholder={t.notices.any}
          clearable
          searchable
          data={kinds}
          value={action}
          onChange={setAction}
        />
        <span className={css.right}>{t.notices.lead}</span>
      </div>
      {notices.isError && (
        <div className={css.block}>
          <ProblemView cause={notices.error} retry={() => void notices.refetch()} />
        </div>
      )}
      {notices.data && items.length === 0 && <Empty title={t.notices.none} />}
      {items.map((notice) => (
        <article key={notice.id} className={css.notice}>
          <div className={css.noticeHead}>
            <strong>{notice.action}</strong>
            <span className={css.dim}>
              <Time at={notice.at} form="full" />
            </span>
          </div>
          <pre className="code">{JSON.stringify(notice.payload, null, 2)}</pre>
        </article>
      ))}
      {notices.hasNextPage && (
        <div className={css.foot}>
          <Button
            size="compact-sm"
            variant="default"
            loading={notices.isFetchingNextPage}
            onClick={() => void notices.fetchNextPage()}
          >
            {t.session.more}
          </Button>
        </div>
      )}
    </>
  );
}
