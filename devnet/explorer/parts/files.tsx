import type { FileView, RunView } from "../../src/explorer/api.ts";
import { Hash } from "./hash.tsx";
import { Empty } from "./notices.tsx";

interface Row {
  readonly from: string;
  readonly file: FileView;
}

/** Each file that came with the Run or was made by it, to be downloaded. */
export function Files({ run }: { readonly run: RunView }) {
  const rows = rowsOf(run);
  if (rows.length === 0) {
    return <Empty title="No files.">What a program hands back beside its proof is listed here.</Empty>;
  }
  return (
    <table class="list">
      <caption class="visually-hidden">Files of this Run</caption>
      <thead>
        <tr>
          <th scope="col">File</th>
          <th scope="col">From</th>
          <th scope="col">BLAKE3</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ from, file }) => (
          <tr key={file.href}>
            <th scope="row" class="wrap">
              <a href={file.href} download>
                {file.vmPath}
              </a>
            </th>
            <td data-label="From">{from}</td>
            <td data-label="BLAKE3">
              <Hash value={file.checksum} what="checksum" />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function rowsOf({ steps, results }: RunView): Row[] {
  const inputs = steps.flatMap(({ inputs }) =>
    inputs.flatMap(({ vmPath, checksum, href }): Row[] =>
      checksum !== null && href !== null ? [{ from: "the Run", file: { vmPath, checksum, href } }] : [],
    ),
  );
  const outputs = results.flatMap(({ kind, files, program }) =>
    files.map(
      (file): Row => ({ from: `${kind === "proof" ? "Proof" : "Verification"} by ${program.name}`, file }),
    ),
  );
  const seen = new Set<string>();
  return [...inputs, ...outputs].filter(({ file }) => !seen.has(file.href) && seen.add(file.href));
}
