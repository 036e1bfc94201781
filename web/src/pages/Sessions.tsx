import { Anchor, SegmentedControl, Select } from "@mantine/core";
import { Link, useSearchParams } from "react-router";
import { countedHeld, useHeldCount } from "../api/ledger";
import type { SessionFilter } from "../api/queries";
import { AlertIcon } from "../parts/icons";
import { usePageTitle } from "../parts/usePageTitle";
import billing from "../session/billing.module.css";
import { SessionList } from "../session/SessionList";
import css from "../session/session.module.css";
import { t } from "../texts";

const billingStates = ["running", "held", "ready"] as const;

/** Reads the filter from the address, and leaves out what it does not know. */
function filterOf(search: URLSearchParams): SessionFilter {
  const filter: SessionFilter = {};
  const state = search.get("state");
  if (state === "active" || state === "ended") filter.state = state;
  const held = billingStates.find((b) => b === search.get("billing"));
  if (held) filter.billing = held;
  const flag = search.get("flag");
  if (flag) filter.flag = flag;
  return filter;
}

export function Sessions() {
  usePageTitle(t.session.listTitle);
  const [search, setSearch] = useSearchParams();
  const filter = filterOf(search);
  const filtered = Object.keys(filter).length > 0;
  const set = (name: keyof SessionFilter, value: string | null) => {
    const next: Record<string, string> = { ...filter };
    delete next[name];
    if (value) next[name] = value;
    setSearch(next, { replace: true });
  };
  return (
    <>
      <div className={css.headline}>
        <h1>{t.session.listTitle}</h1>
        <SegmentedControl
          aria-label={t.session.filter}
          data={[
            { value: "", label: t.session.all },
            { value: "active", label: t.session.active },
            { value: "ended", label: t.session.ended },
          ]}
          value={filter.state ?? ""}
          onChange={(value) => set("state", value)}
        />
      </div>
      {filter.billing !== "held" && <NeedHand />}
      <div className={css.filters}>
        <Select
          label={t.billing.filter}
          placeholder={t.billing.any}
          data={billingStates.map((value) => ({ value, label: t.billing.states[value] ?? value }))}
          value={filter.billing ?? null}
          onChange={(value) => set("billing", value)}
          clearable
          w={150}
        />
        <Select
          label={t.billing.flagFilter}
          placeholder={t.billing.anyFlag}
          data={flagChoices(filter.flag)}
          value={filter.flag ?? null}
          onChange={(value) => set("flag", value)}
          clearable
          searchable
          w={260}
        />
      </div>
      <div className="card">
        <SessionList filter={filter} clear={filtered ? () => setSearch({}, { replace: true }) : undefined} />
      </div>
    </>
  );
}

/** The known codes of flags, and one that the address names though it is not known. */
function flagChoices(asked: string | undefined): { value: string; label: string }[] {
  const known = Object.entries(t.billing.flags).map(([value, label]) => ({ value, label }));
  if (asked && !(asked in t.billing.flags)) known.push({ value: asked, label: asked });
  return known;
}

/** How many sessions nobody bills before somebody has looked at them. */
function NeedHand() {
  const held = useHeldCount();
  if (!held.data || held.data.count === 0) return null;
  const { count, more } = held.data;
  return (
    <div className={`card ${billing.needHand}`} role="status">
      <AlertIcon size={18} />
      <div>
        <strong>{t.billing.needHand(more ? `${countedHeld}+` : String(count), count === 1)}</strong>
        <div className={css.dim}>{t.billing.needHandLead}</div>
      </div>
      <span>
        <Anchor component={Link} to="/sessions?billing=held" size="sm">
          {t.billing.showHeld}
        </Anchor>
      </span>
    </div>
  );
}
