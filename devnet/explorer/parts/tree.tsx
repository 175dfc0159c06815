import type { ResultView, RunView } from "../../src/explorer/api.ts";
import { useNodeNames } from "../state/nodeNames.ts";
import { bytes, count } from "../state/words.ts";
import { Hash } from "./hash.tsx";
import { Empty } from "./notices.tsx";
import { ProgramLink } from "./runTable.tsx";

/** The Run, its Proofs, and their Verifications. */
export function Tree({ run }: { readonly run: RunView }) {
  const nameOf = useNodeNames(run);
  const proofs = run.results.filter(({ kind }) => kind === "proof");
  if (proofs.length === 0) {
    const isOver = run.status.state === "failed";
    return (
      <Empty title={isOver ? "No Proof was made." : "No Proof yet."}>
        {isOver ? "Why stands above, and with each task." : "It appears here as soon as a node has made one."}
      </Empty>
    );
  }
  return (
    <ul class="tree" aria-label="Proofs of this Run, with their Verifications">
      {proofs.map((proof) => {
        const verifications = run.results.filter(({ parent }) => parent === proof.hash);
        return (
          <li key={proof.hash}>
            <Result result={proof} by={nameOf(proof.author)} />
            <ul>
              {verifications.map((each) => (
                <li key={each.hash}>
                  <Result result={each} by={nameOf(each.author)} />
                </li>
              ))}
              {verifications.length === 0 && <li class="muted leaf">No Verification yet.</li>}
            </ul>
          </li>
        );
      })}
    </ul>
  );
}

function Result({ result, by }: { readonly result: ResultView; readonly by: string }) {
  const word = result.kind === "proof" ? "Proof" : "Verification";
  return (
    <div class="result" id={result.hash}>
      <span class={`kind ${result.kind}`}>{word}</span>
      <Hash value={result.hash} what={word} />
      <span class="by">
        by <strong>{by}</strong>
      </span>
      <span class="muted">
        <ProgramLink program={result.program} />
        {" · "}
        <a href={result.href} download>
          {bytes(result.bytes)}
        </a>
        {result.files.length > 0 && ` · ${count(result.files.length, "file")}`}
      </span>
      {result.preview !== "" && <code class="preview">{result.preview}</code>}
    </div>
  );
}
