import type { PipelineConfig } from "../config.ts";
import { S3_URL } from "../wire/s3Url.ts";
import { createS3Base } from "./s3Base.ts";
import { createDiskBase, type SharedBase } from "./sharedBase.ts";

/** The base folder that a configuration names. Credentials of a bucket come from the usual variables, else from the machine's role. */
export function openBase(
  config: Pick<PipelineConfig, "base_dir" | "cache_dir" | "s3_endpoint" | "s3_region">,
): Promise<SharedBase> {
  if (!S3_URL.test(config.base_dir)) return createDiskBase(config.base_dir);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL } =
    process.env;
  return createS3Base({
    url: config.base_dir,
    // The configuration has it where base_dir is a bucket.
    cacheDir: config.cache_dir!,
    endpoint: config.s3_endpoint ?? AWS_ENDPOINT_URL,
    region: config.s3_region ?? AWS_REGION ?? AWS_DEFAULT_REGION,
    accessKey: AWS_ACCESS_KEY_ID,
    secretKey: AWS_SECRET_ACCESS_KEY,
  });
}
