import { Jobs } from "../installation/Jobs";
import { Nodes } from "../installation/Nodes";
import { Quarantine } from "../installation/Quarantine";
import { RetentionView } from "../installation/Retention";
import { usePageTitle } from "../parts/usePageTitle";
import session from "../session/session.module.css";
import { t } from "../texts";

/** What the network runs on: its nodes, their work, what is kept, and what was not understood. */
export function Installation() {
  usePageTitle(t.installation.title);
  return (
    <>
      <div className={session.headline}>
        <h1>{t.installation.title}</h1>
      </div>
      <Nodes />
      <Jobs />
      <RetentionView />
      <Quarantine />
    </>
  );
}
