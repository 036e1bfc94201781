import { useNodes } from "../api/ledger";
import type { Node } from "../api/types";
import { count } from "../format";
import { Empty, ProblemView } from "../parts/Problem";
import { Scroll } from "../parts/Scroll";
import { Mark } from "../parts/StateChip";
import { Time } from "../parts/Time";
import type { Tone } from "../state";
import { t } from "../texts";
import css from "./installation.module.css";
import { Room } from "./Room";

const tones: Record<Node["state"], Tone> = {
  up: "good",
  draining: "busy",
  lost: "bad",
  dead: "bad",
  left: "off",
};

/** Which nodes live, and how many stations each one holds. */
export function Nodes() {
  const nodes = useNodes();
  return (
    <Room id="nodes" title={t.installation.nodes} lead={t.installation.nodesLead}>
      {nodes.isError && (
        <div className={css.pad}>
          <ProblemView cause={nodes.error} retry={() => void nodes.refetch()} />
        </div>
      )}
      {nodes.data?.length === 0 && <Empty title={t.installation.noNodes} />}
      {nodes.data && nodes.data.length > 0 && (
        <Scroll label={t.installation.nodes}>
          <table className="table" aria-labelledby="nodes">
            <thead>
              <tr>
                <th>{t.installation.node}</th>
                <th>{t.installation.state}</th>
                <th className="end">{t.installation.links}</th>
                <th>{t.installation.bus}</th>
                <th>{t.installation.version}</th>
                <th>{t.installation.heartbeat}</th>
                <th>{t.installation.started}</th>
              </tr>
            </thead>
            <tbody>
              {nodes.data.map((node) => (
                <Row key={node.id} node={node} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Room>
  );
}

function Row({ node }: { node: Node }) {
  const gone = node.endedAt !== null;
  return (
    <tr data-node={node.id}>
      <td title={node.id}>{node.name || node.id}</td>
      <td>
        <Mark tone={tones[node.state]}>{t.installation.nodeStates[node.state] ?? node.state}</Mark>
        {gone && (
          <div className={css.dim}>
            <Time at={node.endedAt} />
          </div>
        )}
      </td>
      <td className="end num">{gone ? "" : count(node.links)}</td>
      <td>{gone ? "" : node.bus ? t.installation.busOn : t.installation.busOff}</td>
      <td className="mono">{node.version}</td>
      <td>
        <Time at={node.seenAt} form="ago" />
      </td>
      <td>
        <Time at={node.startedAt} />
      </td>
    </tr>
  );
}
