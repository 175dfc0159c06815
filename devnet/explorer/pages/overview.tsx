import type { PageView, ProgramRow, RunRow } from "../../src/explorer/api.ts";
import { Mesh } from "../parts/mesh.tsx";
import { NodeTable } from "../parts/nodeTable.tsx";
import { Empty, Loading, Problem } from "../parts/notices.tsx";
import { Page, Section } from "../parts/page.tsx";
import { ProgramTable } from "../parts/programTable.tsx";
import { RunTable } from "../parts/runTable.tsx";
import { useLive } from "../state/live.tsx";
import { useResource } from "../state/useResource.ts";

const RUNS = 8;
const PROGRAMS = 5;
/** Of a command that talks to this devnet as its first developer. */
function useDevnetOptions(): string {
  const url = useLive().network?.nodes[0]?.rpcUrl ?? DEFAULT_URL;
  const node = url === DEFAULT_URL ? "" : `--jsonurl ${url} `;
  return `${node}--keyfile .gevulot/devnet/keys/account0.key`;
}
const DEFAULT_URL = "http://127.0.0.1:9944";

export function OverviewPage() {
  const { network } = useLive();
  const runs = useResource<PageView<RunRow>>(`/api/runs?limit=${RUNS}`, ({ kind }) => kind === "runs");
  const programs = useResource<PageView<ProgramRow>>(
    `/api/programs?limit=${PROGRAMS}`,
    ({ kind }) => kind === "programs",
  );
  return (
    <Page title="Overview">
      <Section title="Nodes">
        {network === null ? (
          <Loading />
        ) : (
          <div class="network">
            <Mesh nodes={network.nodes} />
            <NodeTable nodes={network.nodes} />
          </div>
        )}
      </Section>
      <Section title="Latest Runs" aside={<a href="/runs">All Runs</a>}>
        {runs.problem && <Problem problem={runs.problem} />}
        {runs.data === null && !runs.problem && <Loading />}
        {runs.data?.items.length === 0 && <NoRuns hasPrograms={(programs.data?.items.length ?? 0) > 0} />}
        {runs.data && runs.data.items.length > 0 && (
          <RunTable runs={runs.data.items} caption="The latest Runs" />
        )}
      </Section>
      <Section title="Latest programs" aside={<a href="/programs">All programs</a>}>
        {programs.problem && <Problem problem={programs.problem} />}
        {programs.data?.items.length === 0 && <NoPrograms />}
        {programs.data && programs.data.items.length > 0 && (
          <ProgramTable programs={programs.data.items} caption="The programs deployed last" />
        )}
      </Section>
    </Page>
  );
}

export function NoRuns({ hasPrograms }: { readonly hasPrograms: boolean }) {
  const options = useDevnetOptions();
  if (!hasPrograms) {
    return (
      <Empty title="No Runs yet.">
        A Run asks for a proof by a program. First deploy one: see the programs.
      </Empty>
    );
  }
  return (
    <Empty
      title="No Runs yet."
      command={`npx gevulot exec --tasks '[{"program": "<prover's hash>", "cmd_args": [], "inputs": []}]' ${options}`}
    >
      Ask for a proof with <code>client.prove()</code>, or on the command line:
    </Empty>
  );
}

export function NoPrograms() {
  const command = `npx gevulot deploy --name demo --prover prover.img --verifier verifier.img ${useDevnetOptions()}`;
  return (
    <Empty title="No programs are deployed yet." command={command}>
      Build images with <code>gevulot-devnet image build</code>, then:
    </Empty>
  );
}
