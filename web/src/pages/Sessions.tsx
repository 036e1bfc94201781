import { SegmentedControl } from "@mantine/core";
import { useSearchParams } from "react-router";
import { usePageTitle } from "../parts/usePageTitle";
import { SessionList } from "../session/SessionList";
import css from "../session/session.module.css";
import { t } from "../texts";

export function Sessions() {
  usePageTitle(t.session.listTitle);
  const [search, setSearch] = useSearchParams();
  const asked = search.get("state");
  const state = asked === "active" || asked === "ended" ? asked : undefined;
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
          value={state ?? ""}
          onChange={(value) => setSearch(value ? { state: value } : {}, { replace: true })}
        />
      </div>
      <div className="card">
        <SessionList filter={state ? { state } : {}} />
      </div>
    </>
  );
}
