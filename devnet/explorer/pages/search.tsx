import { useEffect } from "preact/hooks";
import type { FoundView } from "../../src/explorer/api.ts";
import { Hash } from "../parts/hash.tsx";
import { Empty, Loading, Problem } from "../parts/notices.tsx";
import { Page } from "../parts/page.tsx";
import { goTo } from "../state/router.ts";
import { useResource } from "../state/useResource.ts";
import { count } from "../state/words.ts";

const MIN_DIGITS = 4;
const KINDS: Readonly<Record<FoundView["kind"], string>> = {
  run: "Run",
  proof: "Proof",
  verification: "Verification",
  deploy: "Deployment",
  program: "Program",
  node: "Node",
  other: "Transaction",
};

export function SearchPage({ wanted }: { readonly wanted: string }) {
  const isHex = /^[0-9a-f]+$/.test(wanted);
  const isAsked = isHex && wanted.length >= MIN_DIGITS && wanted.length <= 130;
  const { data, problem } = useResource<{ readonly found: readonly FoundView[] }>(
    isAsked ? `/api/search?q=${wanted}` : null,
    () => false,
  );
  const found = data?.found;
  const only = found?.length === 1 ? hrefOf(found[0] as FoundView) : null;
  useEffect(() => {
    if (only !== null) goTo(only, { replace: true });
  }, [only]);
  const isUnknown = problem?.code === "EXPLORER_NOT_FOUND" || found?.length === 0;
  return (
    <Page title={wanted === "" ? "Search" : `Search for ${wanted.slice(0, 16)}`}>
      {!isAsked && (
        <Empty title={isHex || wanted === "" ? "At least 4 digits are wanted." : "That is no hash."}>
          A hash is 64 hex digits; its first {MIN_DIGITS} or more find Runs, Proofs, Verifications, programs
          and nodes.
        </Empty>
      )}
      {problem && !isUnknown && <Problem problem={problem} />}
      {isAsked && data === null && !problem && <Loading />}
      {isAsked && isUnknown && (
        <Empty title="No node knows a hash that begins so.">
          It may be of another devnet, or was not sent: the answer of <code>deploy</code>, <code>prove</code>{" "}
          and <code>exec</code> has the hash.
        </Empty>
      )}
      {found && found.length > 1 && <Found found={found} />}
    </Page>
  );
}

function Found({ found }: { readonly found: readonly FoundView[] }) {
  return (
    <>
      <p role="status">{count(found.length, "hash begins so", "hashes begin so")}.</p>
      <ul class="found">
        {found.map((each) => (
          <li key={each.hash}>
            <span class="kind">{KINDS[each.kind]}</span>
            <Hash value={each.hash} href={hrefOf(each) ?? undefined} what={KINDS[each.kind]} />
            {each.name && <span class="muted">{each.name}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function hrefOf({ kind, hash, run }: FoundView): string | null {
  if (kind === "program") return `/programs/${hash}`;
  if (kind === "deploy") return "/programs";
  if (kind === "node") return "/";
  if (run === null) return null;
  return kind === "run" ? `/runs/${run}` : `/runs/${run}#${hash}`;
}
