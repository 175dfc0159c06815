import type { ProgramRef, RunRow } from "../../src/explorer/api.ts";
import { Hash } from "./hash.tsx";
import { StateBadge } from "./stateBadge.tsx";
import { Time } from "./time.tsx";

export function ProgramLink({ program }: { readonly program: ProgramRef }) {
  return (
    <a href={`/programs/${program.hash}`} title={program.hash}>
      {program.name || "unnamed"}
    </a>
  );
}

export function RunTable({ runs, caption }: { readonly runs: readonly RunRow[]; readonly caption: string }) {
  return (
    <table class="list">
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Run</th>
          <th scope="col">State</th>
          <th scope="col">Programs</th>
          <th scope="col" class="number">
            Proofs
          </th>
          <th scope="col" class="number">
            Verifications
          </th>
          <th scope="col">Submitted</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.run}>
            <th scope="row">
              <Hash value={run.run} href={`/runs/${run.run}`} what="Run" />
            </th>
            <td data-label="State">
              <StateBadge state={run.state} />
            </td>
            <td data-label="Programs" class="programs">
              <span>
                {run.programs.map((program, index) => (
                  <span key={program.hash}>
                    {index > 0 && <span class="muted"> → </span>}
                    <ProgramLink program={program} />
                  </span>
                ))}
              </span>
            </td>
            <td data-label="Proofs" class="number">
              {run.proofs}
            </td>
            <td data-label="Verifications" class="number">
              {run.verifications}
            </td>
            <td data-label="Submitted">
              <Time at={run.submittedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
