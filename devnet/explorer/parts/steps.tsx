import type { InputView, RunView } from "../../src/explorer/api.ts";
import { ProgramLink } from "./runTable.tsx";

/** What was asked for: each program with its arguments and inputs. */
export function Steps({ run }: { readonly run: RunView }) {
  return (
    <ol class="steps">
      {run.steps.map(({ program, args, inputs }, index) => (
        <li key={index}>
          <h3>
            <ProgramLink program={program} />
          </h3>
          <dl class="facts small">
            <dt>Arguments</dt>
            <dd>
              {args.length === 0 ? (
                <span class="muted">none</span>
              ) : (
                <code class="wrap">{args.map(quoted).join(" ")}</code>
              )}
            </dd>
            <dt>Inputs</dt>
            <dd>
              {inputs.length === 0 && <span class="muted">none</span>}
              <ul class="plain">
                {inputs.map((input) => (
                  <li key={input.vmPath}>
                    <Input input={input} />
                  </li>
                ))}
              </ul>
            </dd>
          </dl>
        </li>
      ))}
    </ol>
  );
}

function Input({ input }: { readonly input: InputView }) {
  return (
    <>
      <code class="wrap">{input.vmPath}</code>{" "}
      <span class="muted">
        {input.source ? (
          <>
            from <ProgramLink program={input.source} />
          </>
        ) : (
          "with the Run"
        )}
      </span>
    </>
  );
}

function quoted(arg: string): string {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`;
}
