import type { ProgramRow } from "../../src/explorer/api.ts";
import { count, mebibytes } from "../state/words.ts";
import { Hash } from "./hash.tsx";
import { Time } from "./time.tsx";

export function ProgramTable(props: { readonly programs: readonly ProgramRow[]; readonly caption: string }) {
  return (
    <table class="list">
      <caption class="visually-hidden">{props.caption}</caption>
      <thead>
        <tr>
          <th scope="col">Program</th>
          <th scope="col">Hash</th>
          <th scope="col">Image</th>
          <th scope="col">Asks for</th>
          <th scope="col">Deployed</th>
        </tr>
      </thead>
      <tbody>
        {props.programs.map((program) => (
          <tr key={program.program}>
            <th scope="row">
              <a href={`/programs/${program.program}`}>{program.name || "unnamed"}</a>
            </th>
            <td data-label="Hash">
              <Hash value={program.program} what="hash of the program" />
            </td>
            <td data-label="Image" class="wrap">
              {program.imageFileName}
            </td>
            <td data-label="Asks for">{askedFor(program)}</td>
            <td data-label="Deployed">
              <Time at={program.deployedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function askedFor({ memMib, cpus, gpus }: Pick<ProgramRow, "memMib" | "cpus" | "gpus">): string {
  const parts = [mebibytes(memMib), count(cpus, "CPU")];
  if (gpus > 0) parts.push(count(gpus, "GPU"));
  return parts.join(", ");
}
