import { Button } from "@mantine/core";
import { useUnblock } from "../api/ledger";
import type { Block } from "../api/types";
import { LockIcon } from "../parts/icons";
import { notifyDone, notifyProblem } from "../parts/Problem";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./station.module.css";

/** Why a station is kept out and for how long, and the way to let it in before. */
export function Blocked({ station, block }: { station: string; block: Block }) {
  const unblock = useUnblock();
  const submit = () =>
    unblock.mutate(station, {
      onSuccess: () => notifyDone(t.blocked.unblocked(station)),
      onError: notifyProblem,
    });
  return (
    <section className={`card ${css.blocked}`} aria-labelledby="blocked">
      <LockIcon size={20} />
      <div>
        <h2 id="blocked">{t.blocked.title}</h2>
        <p>
          {block.reason} <span className={css.dim}>{t.blocked.until}</span>{" "}
          <Time at={block.until} form="full" />
        </p>
      </div>
      <Button size="sm" variant="default" loading={unblock.isPending} onClick={submit}>
        {t.blocked.unblock}
      </Button>
    </section>
  );
}
