import { expect, it, vi } from "vitest";
import { warnIfOpen } from "./warnIfOpen.ts";

const OPEN = { addr: "0.0.0.0:50000", accept_nodes: true, node_token: undefined, ca_cert_path: undefined };
const REGISTERS = expect.stringContaining("can register as a prover node");
const READS = expect.stringContaining("can read data by its SHA-256, and send data");

it.each([
  ["nodes register", {}, [REGISTERS]],
  ["listed nodes only", { accept_nodes: false }, [READS]],
  ["a token", { accept_nodes: false, node_token: "known-to-few-nodes" }, []],
  ["certificates", { ca_cert_path: "ca.pem" }, []],
  ["this machine alone", { accept_nodes: false, addr: "127.0.0.1:50000" }, []],
])("a stage says what strangers can do: %s", (_, change, said) => {
  const warn = vi.fn();
  warnIfOpen({ warn }, { ...OPEN, ...change });
  expect(warn.mock.calls.flat()).toEqual(said);
});
