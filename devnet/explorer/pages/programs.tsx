import type { PageView, ProgramRow } from "../../src/explorer/api.ts";
import { Loading, Problem } from "../parts/notices.tsx";
import { Page } from "../parts/page.tsx";
import { Pager, withQuery } from "../parts/pager.tsx";
import { ProgramTable } from "../parts/programTable.tsx";
import { useResource } from "../state/useResource.ts";
import { NoPrograms } from "./overview.tsx";

const LIMIT = 25;

export function ProgramsPage({ query }: { readonly query: URLSearchParams }) {
  const address = withQuery("/api/programs", query, { limit: String(LIMIT) });
  const { data, problem } = useResource<PageView<ProgramRow>>(address, ({ kind }) => kind === "programs");
  return (
    <Page title="Programs">
      {problem && <Problem problem={problem} />}
      {data === null && !problem && <Loading />}
      {data?.items.length === 0 && <NoPrograms />}
      {data && data.items.length > 0 && (
        <ProgramTable programs={data.items} caption="Programs, deployed last first" />
      )}
      {data && <Pager place="/programs" query={query} next={data.next} />}
    </Page>
  );
}
