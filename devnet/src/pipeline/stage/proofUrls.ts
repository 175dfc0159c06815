import type { PipelineRun } from "../store/runs.ts";
import type { WireGetStatusResponse } from "../wire/messages.ts";

/** The URLs by which a run's files are served: `{fileserver_url}/{proof_id}/…`; none without a file server. */
export function proofUrls(
  fileServerUrl: string | null,
  run: Pick<PipelineRun, "id" | "shape">,
): Pick<WireGetStatusResponse, "snark_proof_url" | "stark_proof_url" | "public_values_url"> {
  if (fileServerUrl === null) return {};
  const { target, version } = run.shape;
  const base = `${fileServerUrl.replace(/\/+$/, "")}/${encodeURIComponent(run.id)}`;
  const isWrapped = version === "zkm" && target === "snark";
  // The last aggregation lies there too.
  const isOne = target === "snark" || target === "agg";
  return {
    ...(isOne && { snark_proof_url: `${base}/snark/proof_with_public_inputs.json` }),
    ...(isWrapped && { stark_proof_url: `${base}/wrap/proof_with_public_inputs.json` }),
    ...(target !== "split" && {
      public_values_url: `${base}/wrap/public_values.${version === "zkm" ? "json" : "bin"}`,
    }),
  };
}
