import { useJobs, useNodes } from "../api/ledger";
import type { Job } from "../api/types";
import { count } from "../format";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Mark } from "../parts/StateChip";
import { Time } from "../parts/Time";
import { t } from "../texts";
import css from "./installation.module.css";
import { Room } from "./Room";

/** Periodic work: when it ran, where it runs, and what went wrong. */
export function Jobs() {
  const jobs = useJobs();
  const nodes = useNodes();
  const nameOf = (id: string) => nodes.data?.find((n) => n.id === id)?.name || id;
  return (
    <Room id="jobs" title={t.installation.jobs} lead={t.installation.jobsLead}>
      {jobs.isError && (
        <div className={css.pad}>
          <ProblemView cause={jobs.error} retry={() => void jobs.refetch()} />
        </div>
      )}
      {jobs.data?.length === 0 && <Empty title={t.installation.noJobs} />}
      {jobs.data && jobs.data.length > 0 && (
        <Scroll label={t.installation.jobs}>
          <table className="table" aria-labelledby="jobs">
            <thead>
              <tr>
                <th>{t.installation.job}</th>
                <th>{t.installation.result}</th>
                <th>{t.installation.lastRun}</th>
                <th className="end">{t.installation.took}</th>
                <th>{t.installation.due}</th>
                <th className="end">{t.installation.runs}</th>
              </tr>
            </thead>
            <tbody>
              {jobs.data.map((job) => (
                <Row key={job.name} job={job} node={job.node && nameOf(job.node)} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Room>
  );
}

function Row({ job, node }: { job: Job; node: string }) {
  return (
    <tr data-job={job.name}>
      <td>{job.name}</td>
      <td>
        <Result job={job} node={node} />
        {job.error && <div className={css.dim}>{job.error}</div>}
      </td>
      <td>{job.startedAt ? <Time at={job.startedAt} /> : t.installation.never}</td>
      <td className="end num">{took(job)}</td>
      <td>
        <Time at={job.dueAt} />
      </td>
      <td className="end num">{count(job.runs)}</td>
    </tr>
  );
}

function Result({ job, node }: { job: Job; node: string }) {
  if (node) return <Mark tone="work">{t.installation.running(node)}</Mark>;
  if (job.failures > 0 || job.error)
    return <Mark tone="bad">{t.installation.failed(Math.max(1, job.failures))}</Mark>;
  if (!job.startedAt) return null;
  return <Mark tone="good">{t.installation.well}</Mark>;
}

/** How long the last run took, once it is over. */
function took(job: Job): string {
  const ms = Date.parse(job.endedAt ?? "") - Date.parse(job.startedAt ?? "");
  if (!(ms >= 0)) return "";
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}
