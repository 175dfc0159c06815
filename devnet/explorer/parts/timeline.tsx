import type { TraceSpan } from "gevulot-sdk";
import type { RunView } from "../../src/explorer/api.ts";
import { useNow } from "../state/useNow.ts";
import { duration } from "../state/words.ts";
import { Empty } from "./notices.tsx";

/** What is shown of each kind of span: its words, and its tone. */
const SPANS: Readonly<Record<TraceSpan["name"], readonly [words: string, tone: string]>> = {
  accept: ["received and checked", "net"],
  "wait-parent": ["waits for what it refers to", "wait"],
  "fetch-files": ["files fetched", "net"],
  store: ["stored", "net"],
  assign: ["waits for its turn", "wait"],
  queue: ["waits for resources", "wait"],
  prepare: ["prepared", "boot"],
  kernel: ["kernel boots", "boot"],
  init: ["guest starts", "boot"],
  program: ["program runs", "run"],
  "task-taken": ["task taken", "point"],
  result: ["result handed over", "point"],
  "stop-vm": ["VM stops", "boot"],
  collect: ["results collected", "net"],
};
const LEGEND = [
  ["net", "network and disk"],
  ["wait", "waiting"],
  ["boot", "start and stop"],
  ["run", "program"],
] as const;

interface Row {
  readonly key: string;
  readonly node: string;
  readonly what: string;
  readonly spans: readonly TraceSpan[];
}

/** One line for each transaction and task of each node; the same as a table below. */
export function Timeline({ run }: { readonly run: RunView }) {
  const isOpen = run.traces.some(({ spans }) => spans.some(({ endedAt }) => endedAt === null));
  const now = useNow(isOpen);
  const rows = rowsOf(run);
  if (rows.length === 0) return <Empty title="No node tells of times." />;
  const all = rows.flatMap(({ spans }) => spans);
  const from = Math.min(...all.map(({ startedAt }) => Date.parse(startedAt)));
  const to = Math.max(from + 1, ...all.map((span) => endOf(span, now)));
  const scale: Scale = { from, length: to - from, now };
  return (
    <>
      <ul class="legend" aria-hidden="true">
        {LEGEND.map(([tone, words]) => (
          <li key={tone}>
            <span class={`swatch ${tone}`} />
            {words}
          </li>
        ))}
      </ul>
      <div class="timeline" aria-hidden="true">
        <Axis length={scale.length} />
        {rows.map((row) => (
          <div key={row.key} class="timeline-row">
            <span class="timeline-label">
              <strong>{row.node}</strong> {row.what}
            </span>
            <span class="timeline-track">
              {row.spans.map((span) => (
                <Bar key={`${span.name} ${span.attempt} ${span.startedAt}`} span={span} scale={scale} />
              ))}
            </span>
          </div>
        ))}
      </div>
      <details class="timeline-table">
        <summary>The timeline as a table</summary>
        <SpanTable rows={rows} scale={scale} />
      </details>
    </>
  );
}

interface Scale {
  readonly from: number;
  readonly length: number;
  readonly now: number;
}

const endOf = ({ endedAt }: TraceSpan, now: number) => (endedAt === null ? now : Date.parse(endedAt));
const TICKS = 4;

function Axis({ length }: { readonly length: number }) {
  return (
    <div class="timeline-row axis">
      <span class="timeline-label" />
      <span class="timeline-track">
        {Array.from({ length: TICKS + 1 }, (_, index) => (
          <span key={index} class="tick" style={{ left: `${(100 * index) / TICKS}%` }}>
            {duration((length * index) / TICKS)}
          </span>
        ))}
      </span>
    </div>
  );
}

function Bar({ span, scale }: { readonly span: TraceSpan; readonly scale: Scale }) {
  const [words, tone] = SPANS[span.name] ?? [span.name, "net"];
  const start = Date.parse(span.startedAt);
  const ms = endOf(span, scale.now) - start;
  const left = (100 * (start - scale.from)) / scale.length;
  const width = (100 * ms) / scale.length;
  const title = `${words}${ms > 0 ? `, ${duration(ms)}` : ""}${span.detail ? ` (${span.detail})` : ""}`;
  return (
    <span
      class={`bar ${tone} ${span.endedAt === null ? "open" : ""}`}
      style={{ left: `${left.toFixed(3)}%`, width: `${width.toFixed(3)}%` }}
      title={title}
    />
  );
}

function SpanTable({ rows, scale }: { readonly rows: readonly Row[]; readonly scale: Scale }) {
  return (
    <table class="list">
      <caption class="visually-hidden">What each node did, in the order of its beginning</caption>
      <thead>
        <tr>
          <th scope="col">After</th>
          <th scope="col">Took</th>
          <th scope="col">Node</th>
          <th scope="col">What</th>
          <th scope="col">Of</th>
          <th scope="col">More</th>
        </tr>
      </thead>
      <tbody>
        {rows
          .flatMap((row) => row.spans.map((span) => ({ row, span, at: Date.parse(span.startedAt) })))
          .sort((a, b) => a.at - b.at)
          .map(({ row, span, at }) => (
            <tr key={`${row.key} ${span.name} ${span.attempt} ${span.startedAt}`}>
              <th scope="row" class="number">
                {duration(at - scale.from)}
              </th>
              <td data-label="Took" class="number">
                {span.endedAt === null ? "goes on" : duration(endOf(span, scale.now) - at)}
              </td>
              <td data-label="Node">{row.node}</td>
              <td data-label="What">{SPANS[span.name]?.[0] ?? span.name}</td>
              <td data-label="Of">{row.what}</td>
              <td data-label="More" class="wrap">
                {span.detail}
              </td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

/** By the first thing that happened. */
function rowsOf({ traces }: RunView): Row[] {
  const rows = new Map<string, { node: string; what: string; spans: TraceSpan[] }>();
  for (const { name, spans } of traces) {
    for (const span of spans) {
      // Transactions of a kind share a line: there may be many, and each takes a moment.
      const key = `${name} ${span.task ?? span.kind}`;
      const row = rows.get(key) ?? { node: name, what: whatOf(span), spans: [] };
      row.spans.push(span);
      rows.set(key, row);
    }
  }
  return [...rows].map(([key, row]) => ({ key, ...row })).sort((a, b) => startOf(a) - startOf(b));
}

const startOf = ({ spans }: { readonly spans: readonly TraceSpan[] }) =>
  Date.parse(spans[0]?.startedAt ?? "");

function whatOf({ task, kind }: TraceSpan): string {
  if (task !== null) return kind === "verification" ? "verifies" : "proves";
  return { run: "gets the Run", proof: "gets Proofs", verification: "gets Verifications" }[kind];
}
