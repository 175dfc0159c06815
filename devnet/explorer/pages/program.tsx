import type { PageView, ProgramView, RunRow } from "../../src/explorer/api.ts";
import { Hash } from "../parts/hash.tsx";
import { Command, Empty, Loading, Problem } from "../parts/notices.tsx";
import { Page, Section } from "../parts/page.tsx";
import { Pager, withQuery } from "../parts/pager.tsx";
import { askedFor } from "../parts/programTable.tsx";
import { RunTable } from "../parts/runTable.tsx";
import { useResource } from "../state/useResource.ts";
import { shortHash } from "../state/words.ts";

const LIMIT = "15";

export function ProgramPage({ hash, query }: { readonly hash: string; readonly query: URLSearchParams }) {
  const program = useResource<ProgramView>(`/api/programs/${hash}`, () => false);
  const address = withQuery("/api/runs", query, { program: hash, limit: LIMIT });
  const runs = useResource<PageView<RunRow>>(address, ({ kind }) => kind === "runs");
  const name = program.data?.name || shortHash(hash);
  return (
    <Page title={`Program ${name}`} heading={name} crumb={{ href: "/programs", text: "Programs" }}>
      {program.problem && <Problem problem={program.problem} />}
      {program.data === null && !program.problem && <Loading />}
      {program.data && <Facts program={program.data} />}
      <Section title="Its Runs">
        {runs.data?.items.length === 0 && (
          <Empty title="No Run has used it yet.">
            Its hash names it as a step's program, in <code>client.prove()</code> or <code>gevulot exec</code>
            .
          </Empty>
        )}
        {runs.data && runs.data.items.length > 0 && (
          <RunTable runs={runs.data.items} caption="Runs with a step of this program, newest first" />
        )}
        {runs.data && <Pager place={`/programs/${hash}`} query={query} next={runs.data.next} />}
      </Section>
    </Page>
  );
}

function Facts({ program }: { readonly program: ProgramView }) {
  const image = `/files/images/${program.program}/${encodeURIComponent(program.imageFileName)}`;
  return (
    <>
      <dl class="facts">
        <dt>Hash</dt>
        <dd>
          <Hash value={program.program} what="hash of the program" isWhole />
        </dd>
        <dt>Asks for</dt>
        <dd>{askedFor(program)}</dd>
        <dt>Image</dt>
        <dd>
          <a href={image} download>
            {program.imageFileName}
          </a>
        </dd>
        <dt>BLAKE3</dt>
        <dd>
          <Hash value={program.imageFileChecksum} what="checksum of the image" isWhole />
        </dd>
        <dt>From</dt>
        <dd class="wrap">{program.imageFileUrl}</dd>
      </dl>
      <p class="muted">See what is in the image:</p>
      <Command text={`npx gevulot-devnet image inspect ${program.imageFileName}`} />
    </>
  );
}
