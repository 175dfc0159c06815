import type { PageView, RunRow } from "../../src/explorer/api.ts";
import { Empty, Loading, Problem } from "../parts/notices.tsx";
import { Page } from "../parts/page.tsx";
import { Pager, withQuery } from "../parts/pager.tsx";
import { RunTable } from "../parts/runTable.tsx";
import { useLive } from "../state/live.tsx";
import { useResource } from "../state/useResource.ts";
import { NoRuns } from "./overview.tsx";

const STATES = ["submitted", "proving", "verifying", "complete", "failed"] as const;
const LIMIT = 25;

export function RunsPage({ query }: { readonly query: URLSearchParams }) {
  const address = withQuery("/api/runs", query, { limit: String(LIMIT) });
  const { data, problem } = useResource<PageView<RunRow>>(address, ({ kind }) => kind === "runs");
  const isFiltered = query.has("state") || query.has("before");
  return (
    <Page title="Runs">
      <div class="filters">
        <StateFilter query={query} />
        <NodeFilter query={query} />
      </div>
      {problem && <Problem problem={problem} />}
      {data === null && !problem && <Loading />}
      {data?.items.length === 0 &&
        (isFiltered ? <Empty title="No Run is so." /> : <NoRuns hasPrograms={true} />)}
      {data && data.items.length > 0 && <RunTable runs={data.items} caption="Runs, newest first" />}
      {data && <Pager place="/runs" query={query} next={data.next} />}
    </Page>
  );
}

function StateFilter({ query }: { readonly query: URLSearchParams }) {
  const chosen = query.get("state");
  return (
    <nav class="chips" aria-label="Runs by state">
      {[null, ...STATES].map((state) => (
        <a
          key={state}
          href={withQuery("/runs", query, { state, before: null })}
          aria-current={chosen === state ? "true" : undefined}
        >
          {state ?? "all"}
        </a>
      ))}
    </nav>
  );
}

/** Nodes that were apart know different Runs. */
function NodeFilter({ query }: { readonly query: URLSearchParams }) {
  const nodes = useLive().network?.nodes ?? [];
  const chosen = query.get("node");
  if (nodes.length < 2) return null;
  return (
    <nav class="chips" aria-label="As which node knows them">
      {[null, ...nodes.map(({ name }) => name)].map((node) => (
        <a
          key={node}
          href={withQuery("/runs", query, { node, before: null })}
          aria-current={chosen === node ? "true" : undefined}
        >
          {node ?? "any node"}
        </a>
      ))}
    </nav>
  );
}
