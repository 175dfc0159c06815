import { readFile } from "node:fs/promises";
import { checkServerIdentity } from "node:tls";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";
import { GevulotError } from "gevulot-sdk";
import type { PipelineConfig } from "../config.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PIPELINE_TLS: { path: string };
  }
}

type TlsConfig = Pick<PipelineConfig, "ca_cert_path" | "cert_path" | "key_path" | "tls_server_name">;

/** For an HTTPS server. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Null where none is configured. */
export async function readCertificate(config: TlsConfig): Promise<Certificate | null> {
  const { certificate: cert, key } = await readFiles(config);
  return cert && key ? { cert, key } : null;
}

/** TLS where a certificate is set, mutual where a CA is too; else plaintext HTTP/2. */
export async function serverCredentials(config: TlsConfig): Promise<ServerCredentials> {
  const { certificate, key, ca } = await readFiles(config);
  if (!certificate || !key) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: certificate }], ca !== null);
}

/** As a client of the others in the same deployment: they have certificates of the same CA. */
export async function clientCredentials(config: TlsConfig): Promise<ChannelCredentials> {
  const { certificate, key, ca } = await readFiles(config);
  if (!ca && !certificate) return ChannelCredentials.createInsecure();
  const { tls_server_name: name } = config;
  // The existing service's certificates are for one name, which is no host's.
  const verify = name === undefined ? {} : { checkServerIdentity: identityOf(name) };
  return ChannelCredentials.createSsl(ca, key, certificate, verify);
}

function identityOf(name: string): typeof checkServerIdentity {
  return (_host, certificate) => checkServerIdentity(name, certificate);
}

async function readFiles(config: TlsConfig): Promise<Record<"ca" | "certificate" | "key", Buffer | null>> {
  const [ca, certificate, key] = await Promise.all([
    read(config.ca_cert_path, "ca_cert_path"),
    read(config.cert_path, "cert_path"),
    read(config.key_path, "key_path"),
  ]);
  return { ca, certificate, key };
}

async function read(path: string | undefined, option: string): Promise<Buffer | null> {
  if (path === undefined) return null;
  return readFile(path).catch((cause: Error) => {
    throw new GevulotError(
      "PIPELINE_TLS",
      `Can't read ${path} (${cause.message}). Mend ${option} in the configuration; it names a PEM file.`,
      { context: { path }, cause },
    );
  });
}
