import type { NodeView } from "../../src/explorer/api.ts";
import { count } from "../state/words.ts";

const SIZE = 300;
const CENTRE = SIZE / 2;
const RADIUS = 96;
const NODE_RADIUS = 20;
/** Room for a name, above and below. */
const LABEL = 30;
/** More names than this would lie over each other. */
const MAX_NAMED = 12;

interface Spot {
  readonly node: NodeView;
  readonly x: number;
  readonly y: number;
}

/** The nodes in a circle, a line where two are connected. The same is said in words beside it, and in the list of nodes. */
export function Mesh({ nodes }: { readonly nodes: readonly NodeView[] }) {
  const spots = nodes.map((node, index): Spot => {
    const angle = (2 * Math.PI * index) / nodes.length - Math.PI / 2;
    const radius = nodes.length === 1 ? 0 : RADIUS;
    return { node, x: CENTRE + radius * Math.cos(angle), y: CENTRE + radius * Math.sin(angle) };
  });
  const links = linksOf(spots);
  const strangers = strangersOf(nodes);
  const words = meshWords(nodes, links.length);
  const radius = nodes.length > MAX_NAMED ? NODE_RADIUS / 2 : NODE_RADIUS;
  return (
    <figure class="mesh">
      <svg viewBox={viewBoxOf(spots)} role="img" aria-label={words}>
        {links.map(([a, b]) => (
          <line key={`${a.node.name} ${b.node.name}`} class="mesh-link" x1={a.x} y1={a.y} x2={b.x} y2={b.y} />
        ))}
        {spots.map(({ node, x, y }) => (
          <g key={node.name} class={`mesh-node ${node.state} ${isBusy(node) ? "busy" : ""}`}>
            {isBusy(node) && <circle class="mesh-halo" cx={x} cy={y} r={radius + 6} />}
            <circle class="mesh-dot" cx={x} cy={y} r={radius} />
            <text class="mesh-mark" x={x} y={y + 4.5}>
              {node.state === "away" ? "✕" : (node.info?.machine.tasks ?? "")}
            </text>
            {nodes.length <= MAX_NAMED && (
              <text class="mesh-name" x={x} y={y + (y < CENTRE - 1 ? -NODE_RADIUS - 12 : NODE_RADIUS + 22)}>
                {node.name}
              </text>
            )}
          </g>
        ))}
      </svg>
      <figcaption>
        {words}
        {strangers > 0 && ` ${count(strangers, "more peer")} from elsewhere.`}
        {nodes.length > 1 && " The number in a node is that of its running tasks."}
      </figcaption>
    </figure>
  );
}

/** No higher than what is in it. */
function viewBoxOf(spots: readonly Spot[]): string {
  const ys = spots.map(({ y }) => y);
  const top = Math.min(...ys) - NODE_RADIUS - LABEL;
  return `0 ${top} ${SIZE} ${Math.max(...ys) + NODE_RADIUS + LABEL - top}`;
}

const isBusy = (node: NodeView) => node.state === "up" && (node.info?.machine.tasks ?? 0) > 0;

/** Pairs of which both are there and one says that it is connected to the other. */
function linksOf(spots: readonly Spot[]): (readonly [Spot, Spot])[] {
  const sees = (a: Spot, b: Spot) =>
    a.node.state === "up" &&
    a.node.info?.peers.some(({ publicKey }) => publicKey !== null && publicKey === b.node.info?.publicKey);
  return spots.flatMap((a, index) =>
    spots.slice(index + 1).flatMap((b) => {
      const isUp = a.node.state === "up" && b.node.state === "up";
      return isUp && (sees(a, b) || sees(b, a)) ? [[a, b] as const] : [];
    }),
  );
}

function strangersOf(nodes: readonly NodeView[]): number {
  const own = new Set(nodes.map(({ info }) => info?.publicKey));
  const peers = nodes.flatMap(({ state, info }) => (state === "up" ? (info?.peers ?? []) : []));
  return new Set(peers.filter(({ publicKey }) => !own.has(publicKey ?? "")).map(({ address }) => address))
    .size;
}

function meshWords(nodes: readonly NodeView[], links: number): string {
  if (nodes.length === 1) return "One node.";
  const all = (nodes.length * (nodes.length - 1)) / 2;
  const away = nodes.filter(({ state }) => state === "away").map(({ name }) => name);
  const connected =
    links === all
      ? `All ${nodes.length} nodes are connected to each other.`
      : `${count(nodes.length, "node")}, ${links} of ${all} possible connections.`;
  return away.length === 0 ? connected : `${connected} Away: ${away.join(", ")}.`;
}
