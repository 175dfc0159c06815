import type { RunView } from "../../src/explorer/api.ts";
import { Failure } from "../parts/failure.tsx";
import { Files } from "../parts/files.tsx";
import { Hash } from "../parts/hash.tsx";
import { Command, Empty, Loading, Problem } from "../parts/notices.tsx";
import { Page, Section } from "../parts/page.tsx";
import { Stages } from "../parts/stages.tsx";
import { StateBadge } from "../parts/stateBadge.tsx";
import { Steps } from "../parts/steps.tsx";
import { Tasks } from "../parts/tasks.tsx";
import { Time } from "../parts/time.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { Tree } from "../parts/tree.tsx";
import { useNow } from "../state/useNow.ts";
import { useResource } from "../state/useResource.ts";
import { duration, shortHash } from "../state/words.ts";

export function RunPage({ hash }: { readonly hash: string }) {
  const { data, problem } = useResource<RunView>(
    `/api/runs/${hash}`,
    (news) => news.kind === "runs" && news.runs.includes(hash),
  );
  const isUnknown = problem?.code === "EXPLORER_NOT_FOUND";
  return (
    <Page
      title={`Run ${shortHash(hash)}`}
      heading={
        <>
          Run <code class="hash">{shortHash(hash)}</code> {data && <StateBadge state={data.status.state} />}
        </>
      }
      crumb={{ href: "/runs", text: "Runs" }}
    >
      {problem && !isUnknown && <Problem problem={problem} />}
      {isUnknown && data === null && (
        <Empty title="No node knows this Run.">
          Was it sent to another devnet, or has the state been reset? See the <a href="/runs">Runs</a> that
          are here.
        </Empty>
      )}
      {data === null && !problem && <Loading />}
      {data && <Run run={data} />}
    </Page>
  );
}

function Run({ run }: { readonly run: RunView }) {
  const { status } = run;
  return (
    <>
      <Stages status={status} />
      {status.failure && <Failure failure={status.failure} run={run} />}
      <Facts run={run} />
      <Section title="Proofs and verifications">
        <Tree run={run} />
      </Section>
      <Section title="Tasks">
        <Tasks run={run} />
      </Section>
      <Section title="Timeline">
        <Timeline run={run} />
        <Command text={`npx gevulot-devnet trace ${status.run}`} />
      </Section>
      <Section title="Files">
        <Files run={run} />
      </Section>
      <Section title="Steps">
        <Steps run={run} />
      </Section>
    </>
  );
}

function Facts({ run }: { readonly run: RunView }) {
  const { status, author, seenBy } = run;
  const ended = status.endedAt;
  const now = useNow(ended === null);
  const took = (ended === null ? now : Date.parse(ended)) - Date.parse(status.submittedAt);
  const without = seenBy.filter(({ state }) => state === null).map(({ name }) => name);
  return (
    <dl class="facts">
      <dt>Hash</dt>
      <dd>
        <Hash value={status.run} what="Run" isWhole />
      </dd>
      <dt>Author</dt>
      <dd>
        <Hash value={author} what="key of the author" />
      </dd>
      <dt>Submitted</dt>
      <dd>
        <Time at={status.submittedAt} />
      </dd>
      <dt>{ended === null ? "Running for" : "Took"}</dt>
      <dd>{duration(took)}</dd>
      {seenBy.length > 1 && (
        <>
          <dt>Known to</dt>
          <dd>{without.length === 0 ? `all ${seenBy.length} nodes` : `not to ${without.join(", ")}`}</dd>
        </>
      )}
      {status.unreached.length > 0 && (
        <>
          <dt>Too large</dt>
          <dd>
            for {new Set(status.unreached.flatMap(({ peers }) => peers)).size} peers of the old protocol
          </dd>
        </>
      )}
    </dl>
  );
}
