import { describe, expect, test } from "vitest";
import { NODE_OPTIONS, parseNodeOptions } from "./options.ts";

describe("the node's options", () => {
  test("flag before variable before default", () => {
    const env = { GEVULOT_JSON_RPC_LISTEN_ADDR: "0.0.0.0:1", GEVULOT_HTTP_PORT: "12", GEVULOT_PROVIDER: "" };
    const options = parseNodeOptions({ jsonRpcListenAddr: "[::1]:2" }, env);
    expect(options.jsonRpcListenAddr).toEqual({ host: "::1", port: 2 });
    expect(options.httpDownloadPort).toBe(12);
    expect(options.provider).toBe("qemu");
    expect(options.p2pListenAddr).toEqual({ host: "127.0.0.1", port: 9999 });
    expect(Object.isFrozen(options)).toBe(true);
  });

  test("RUST_LOG's plain levels are understood, its filters are not", () => {
    expect(parseNodeOptions({}, { RUST_LOG: "WARN" }).logLevel).toBe("warn");
    expect(parseNodeOptions({}, { RUST_LOG: "gevulot=debug" }).logLevel).toBe("info");
    expect(parseNodeOptions({}, { RUST_LOG: "warn", GEVULOT_LOG_LEVEL: "debug" }).logLevel).toBe("debug");
  });

  test("variables hold text", () => {
    const env = {
      GEVULOT_NODE_NO_EXECUTION: "true",
      GEVULOT_GPU_DEVICES: "01:00.0,02:00.0",
      GEVULOT_MEM_GB: "8",
    };
    expect(parseNodeOptions({}, env)).toMatchObject({
      noExecution: true,
      gpuDevices: ["01:00.0", "02:00.0"],
      memGb: 8,
    });
  });

  test.each([
    [{ jsonRpcListenAddr: "localhost" }, {}, /--json-rpc-listen-addr .*"localhost" is no host:port/],
    [{}, { GEVULOT_P2P_LISTEN_ADDR: "1.2.3.4:70000" }, /GEVULOT_P2P_LISTEN_ADDR.*no host:port/],
    [{ dbUrl: "mysql://x" }, {}, /--db-url .*postgres:\/\//],
    [{ provider: "docker" }, {}, /--provider/],
    [{ httpDownloadPort: -1 }, {}, /--http-download-port/],
    [{ numCpus: 0 }, {}, /--num-cpus/],
    [{ corsOrigins: "app.example" }, {}, /--cors-origins .*https:\/\/app\.example/],
    [{ corsOrigins: "*" }, {}, /--cors-origins/],
    [{ keepDays: "soon" }, {}, /--keep-days/],
    [{ rpcRateLimit: -1 }, {}, /--rpc-rate-limit/],
    [{ acl: "maybe" }, {}, /--acl /],
    [{ aclWhitelistUrl: "keys.txt" }, {}, /--acl-whitelist-url .*http:\/\//],
    [{ httpHealthcheckListenAddr: "8888" }, {}, /--http-healthcheck-listen-addr .*no host:port/],
    [{}, { GEVULOT_NODE_NO_EXECUTION: "maybe" }, /--no-execution/],
    [{ p2pDiscoveryAddrs: "a:1,b" }, {}, /--p2p-discovery-addrs .*host:port/],
    [{ execution: "some" }, {}, /--execution /],
    [{ verifiers: 0 }, {}, /--verifiers /],
  ])("refuses %o %o", (given, env, message) => {
    expect(() => parseNodeOptions(given, env)).toThrow(message);
  });

  test("every option of the existing node is there", () => {
    const flags = NODE_OPTIONS.map(({ flag }) => flag);
    const existing =
      "acl-whitelist-url data-directory db-url json-rpc-listen-addr log-directory no-execution node-key-file p2p-discovery-addrs p2p-listen-addr p2p-advertised-listen-addr http-download-port p2p-psk-passphrase provider vsock-listen-port num-cpus mem-gb gpu-devices http-healthcheck-listen-addr http-metrics-listen-addr qemu-path";
    expect(flags).toEqual(expect.arrayContaining(existing.split(" ")));
  });
});
