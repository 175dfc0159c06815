import type { Amounts, NodeView } from "../../src/explorer/api.ts";
import { count, mebibytes } from "../state/words.ts";
import { Hash } from "./hash.tsx";
import { StateBadge } from "./stateBadge.tsx";

export function NodeTable({ nodes }: { readonly nodes: readonly NodeView[] }) {
  return (
    <ul class="nodes">
      {nodes.map((node) => (
        <li key={node.name} class="node">
          <NodeCard node={node} />
        </li>
      ))}
    </ul>
  );
}

function NodeCard({ node }: { readonly node: NodeView }) {
  const { name, state, reason, info, rpcUrl } = node;
  return (
    <article aria-label={name} class="node-card">
      <div class="node-head">
        <h3>{name}</h3>
        <StateBadge state={state} />
        {state === "up" && info && <span class="muted">{count(info.machine.tasks, "task")} running</span>}
      </div>
      {reason && <p class="bad-text">{reason}</p>}
      {state !== "away" && info && <Held held={info.machine.held} total={info.machine.total} />}
      <dl class="facts small">
        <dt>RPC</dt>
        <dd>
          <code>{rpcUrl.replace(/^http:\/\//, "")}</code>
        </dd>
        {info && (
          <>
            <dt>Key</dt>
            <dd>
              <Hash value={info.publicKey} what={`key of ${name}`} />
            </dd>
            <dt>Peers</dt>
            <dd>
              {info.peers.length}
              <span class="muted"> · {info.p2pAddress}</span>
            </dd>
            <dt>Works</dt>
            <dd>
              {{ all: "on every Run", assigned: "when assigned", none: "on nothing" }[info.execution]}
              <span class="muted"> · version {info.version}</span>
            </dd>
          </>
        )}
      </dl>
    </article>
  );
}

/** What the tasks that run hold. A machine gives its CPUs more than once, so they may be over. */
function Held({ held, total }: { readonly held: Amounts; readonly total: Amounts }) {
  if (total.memMib === 0) return null;
  return (
    <div class="meters">
      <span class="visually-hidden">Held by its tasks:</span>
      <Meter
        {...{ what: "memory", value: held.memMib, max: total.memMib }}
        words={`${mebibytes(held.memMib)} of ${mebibytes(total.memMib)}`}
      />
      <Meter
        {...{ what: "CPUs", value: held.cpus, max: total.cpus }}
        words={`${held.cpus} of ${total.cpus}`}
      />
      {total.gpus > 0 && (
        <Meter
          {...{ what: "GPUs", value: held.gpus, max: total.gpus }}
          words={`${held.gpus} of ${total.gpus}`}
        />
      )}
    </div>
  );
}

function Meter(props: {
  readonly what: string;
  readonly value: number;
  readonly max: number;
  readonly words: string;
}) {
  const { what, value, max, words } = props;
  const part = Math.min(1, value / max);
  return (
    <div class="meter">
      <span class="meter-what">{what}</span>
      <span class="meter-track" aria-hidden="true">
        <span class="meter-bar" style={{ width: `${(part * 100).toFixed(1)}%` }} />
      </span>
      <span class="meter-words">{words}</span>
    </div>
  );
}
