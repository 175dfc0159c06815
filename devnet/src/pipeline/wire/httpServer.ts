import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Certificate } from "./credentials.ts";

/** HTTPS where a certificate is given. */
export function createHttpServer(certificate: Certificate | null, answer: RequestListener): Server {
  if (certificate === null) return createServer(answer);
  return createTlsServer(certificate, answer) as unknown as Server;
}
