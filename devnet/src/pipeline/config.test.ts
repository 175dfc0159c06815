import { isGevulotError } from "gevulot-sdk";
import { describe, expect, it } from "vitest";
import { parsePipelineConfig } from "./config.ts";

const PROVER = `
addr = "0.0.0.0:50001"
prover_addrs = []
base_dir = "/tmp/zkm/test_data"
proving_key_paths = ["/tmp/zkm/proving.key"]
`;
const STAGE = `
addr = "0.0.0.0:50000"
prover_addrs = ["127.0.0.1:50001"]
database_url = "postgres://user:password@localhost/stage"
base_dir = "/tmp/zkm/test_data/stage"
fileserver_url = "http://0.0.0.0:40000/public"
fileserver_addr = "0.0.0.0:40000"
`;
/** The published files, but for the database: theirs is MySQL. */
const PUBLISHED_PROVER = `
addr = "0.0.0.0:50001"
metrics_addr = "0.0.0.0:50011"
database_url = "mysql://stage:123456@localhost:13306/zkm"
proving_key_paths = ["/tmp/input/"]
prover_addrs = []
base_dir = "/tmp/zkm/test/test_proof"
fileserver_url = "/tmp/zkm/fileserver"
fileserver_addr = "0.0.0.0:40001"
`;
const PUBLISHED_STAGE = `
addr = "0.0.0.0:50000"
metrics_addr = "0.0.0.0:50010"
database_url = "postgres://stage:123456@localhost:13306/zkm"
proving_key_paths = []
prover_addrs = ["127.0.0.1:50001"]
base_dir = "/tmp/zkm/test/test_proof"
fileserver_url = "/tmp/zkm/fileserver"
fileserver_addr = "0.0.0.0:40000"
`;
const messageOf = (text: string, role: "stage" | "prover") => {
  try {
    parsePipelineConfig(text, "c.toml", role);
  } catch (error) {
    if (isGevulotError(error, "PIPELINE_CONFIG")) return error.message;
    throw error;
  }
  return "taken";
};

describe("parsePipelineConfig", () => {
  it("takes the existing service's samples as they stand", () => {
    expect(parsePipelineConfig(PROVER, "c.toml", "prover")).toMatchObject({ prover_addrs: [], slots: 1 });
    expect(parsePipelineConfig(STAGE, "c.toml", "stage")).toMatchObject({ prover_version: "zkm" });
    expect(messageOf(PUBLISHED_PROVER, "prover")).toBe("taken");
    expect(messageOf(PUBLISHED_STAGE, "stage")).toBe("taken");
  });

  it("takes our own keys", () => {
    const text = `${PROVER}
stage_addrs = ["10.0.0.1:50000"]
advertise_addr = "10.0.0.7:50001"
rpc_url = "http://10.0.0.9:9944"
key_file = "/etc/account.key"
can = ["prove", "agg"]
[steps]
prove = { command = ["prover", "--in", "{segment}"] }
agg = { program = "${"ab".repeat(32)}" }
`;
    expect(parsePipelineConfig(text, "c.toml", "prover").steps).toEqual({
      prove: { command: ["prover", "--in", "{segment}"] },
      agg: { program: "ab".repeat(32), args: ["{in}", "{out}"] },
    });
  });

  it.each([
    ["a MySQL database", STAGE.replace("postgres:", "mysql:"), "PostgreSQL. Create an empty"],
    ["another database", STAGE.replace("postgres:", "sqlite:"), "must begin with postgres://"],
    ["no database", STAGE.replace(/^database_url.*$/m, ""), "a stage needs database_url"],
    ["an unknown key", `${STAGE}\nbase_dri = "x"`, "unknown key base_dri"],
    ["a wrong type", STAGE.replace(/^base_dir.*$/m, "base_dir = 5"), "base_dir"],
    [
      "a node that wraps and isn't listed",
      `${STAGE}\nsnark_addrs = ["10.0.0.1:50001"]`,
      "10.0.0.1:50001, which is not in prover_addrs",
    ],
    [
      "a token that anybody guesses",
      `${STAGE}\nnode_token = "secret"`,
      "node_token must be 16 to 256 characters",
    ],
    ["no port", STAGE.replace(/^addr.*$/m, 'addr = "localhost"'), "addr must be host:port"],
    ["a port that is none", `${STAGE}\napi_addr = "localhost:70000"`, "api_addr must be host:port"],
    ["a certificate without its key", `${STAGE}\ncert_path = "x"`, "belong together"],
    ["a CA without a certificate", `${STAGE}\nca_cert_path = "x"`, "would listen without TLS"],
    ["what is no TOML", "addr = ", "line 1"],
    [
      "a program without a network",
      `${STAGE}\n[steps]\nverify = { program = "${"ab".repeat(32)}" }`,
      "Add rpc_url",
    ],
    [
      "a key's half hash",
      `${STAGE}\nproving_key_paths = ["sha256:ab"]`,
      "proving_key_paths.0 must be a path",
    ],
    ["a need that is none", `${STAGE}\n[needs.prove]\ngpus = 1`, "unknown key gpus in needs.prove"],
    ["needs of the stage's own step", `${STAGE}\n[needs.verify]\ngpu = 1`, "unknown key verify in needs"],
    ["a step that is neither", `${STAGE}\n[steps]\nprove = { comand = ["x"] }`, "steps.prove"],
  ])("refuses %s", (_, text, message) => {
    expect(messageOf(text, "stage")).toContain(message);
  });

  it.each([
    ["an address that no stage can dial", `${PROVER}\nstage_addrs = ["a:1"]`, "Add advertise_addr"],
    ["a step that isn't configured", `${PROVER}\ncan = ["prove"]`, "(--can) names prove, which [steps]"],
    [
      "a step of the stage",
      `${PROVER}\ncan = ["verify"]\n[steps]\nverify = { command = ["x"] }`,
      "Take it out",
    ],
  ])("refuses at a node %s", (_, text, message) => {
    expect(messageOf(text, "prover")).toContain(message);
  });

  it("takes what the command line says before the file", () => {
    const text = `${PROVER}\ncan = ["agg"]\n[steps]\nprove = { command = ["x"] }`;
    expect(parsePipelineConfig(text, "c.toml", "prover", { can: ["prove"] }).can).toEqual(["prove"]);
    expect(() => parsePipelineConfig(text, "c.toml", "prover", { can: ["proove"] })).toThrow("can.0");
  });
});
