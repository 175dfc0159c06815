import type { OutputFile } from "./outputFiles.ts";
import type { Passthrough } from "./passthrough.ts";
import type { QuadletOptions } from "./quadlet.ts";
import { type UnitLine, unitFile } from "./unitFile.ts";

const UNIT_DIR = "etc/containers/systemd";
export const ENV_DIR = "etc/gevulot";
export const POSTGRES_IMAGE = "docker.io/library/postgres:16-alpine";

/** What starts before a container is there: the first start may fetch an image. */
const START_TIMEOUT_SECONDS = 900;
/** The node gives running tasks back to its queue. */
const STOP_TIMEOUT_SECONDS = 60;
const RESTART_SECONDS = 20;
/** What a node that is root in its container needs: QEMU runs as nobody, who can't read the node's key. */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];

const VM_DEVICES = ["/dev/kvm", "/dev/vsock", "/dev/vhost-vsock"];

/** The same of all containers. */
const HOW_IT_RUNS: Readonly<Record<"Service" | "Install", readonly UnitLine[]>> = {
  Service: [
    ["Restart", "on-failure"],
    ["RestartSec", String(RESTART_SECONDS)],
    ["TimeoutStartSec", String(START_TIMEOUT_SECONDS)],
    ["TimeoutStopSec", String(STOP_TIMEOUT_SECONDS)],
  ],
  Install: [["WantedBy", "multi-user.target default.target"]],
};

/** Units for Podman's systemd generator, version 4.4 or newer. */
export function quadletUnits(options: QuadletOptions, passthrough: Passthrough): OutputFile[] {
  return [
    { path: `${UNIT_DIR}/gevulot-node.container`, content: nodeUnit(options, passthrough) },
    { path: `${UNIT_DIR}/gevulot-postgres.container`, content: postgresUnit() },
    {
      path: `${UNIT_DIR}/gevulot-postgres.volume`,
      content: unitFile({ Volume: [["Label", "org.gevulot.role=database"]] }),
    },
  ];
}

function nodeUnit({ image, dataDirectory }: QuadletOptions, { iommuGroups }: Passthrough): string {
  const before = [
    "gevulot-postgres.service",
    ...(iommuGroups.length > 0 ? ["gevulot-vfio-bind.service"] : []),
  ];
  const vfio =
    iommuGroups.length > 0 ? [...iommuGroups.map((group) => `/dev/vfio/${group}`), "/dev/vfio/vfio"] : [];
  return unitFile({
    Unit: [
      ["Description", "Gevulot node"],
      ["Requires", before.join(" ")],
      ["Wants", "network-online.target"],
      ["After", [...before, "network-online.target", "systemd-modules-load.service"].join(" ")],
    ],
    Container: [
      ["Image", image],
      ["ContainerName", "gevulot-node"],
      // An image that was built here is in no registry.
      ["AutoUpdate", image.startsWith("localhost/") ? "local" : "registry"],
      "Ports 9944 (JSON-RPC), 9995 (files) and 9999 (peers) of this machine.",
      ["Network", "host"],
      ["EnvironmentFile", `/${ENV_DIR}/node.env`],
      ["Volume", `${dataDirectory}:${dataDirectory}`],
      ...[...VM_DEVICES, ...vfio].map((device): UnitLine => ["AddDevice", `${device}:${device}:rw`]),
      "VFIO can't be used with SELinux labels.",
      ["SecurityLabelDisable", "true"],
      ["NoNewPrivileges", "true"],
      ["DropCapability", "all"],
      ...CAPABILITIES.map((name): UnitLine => ["AddCapability", `CAP_${name}`]),
      "A VM with a GPU has all of its memory locked.",
      ["PodmanArgs", "--ulimit=memlock=-1:-1"],
      // Its helper processes are many; podman's own limit is 2048.
      ["PodmanArgs", "--pids-limit=-1"],
    ],
    ...HOW_IT_RUNS,
  });
}

function postgresUnit(): string {
  return unitFile({
    Unit: [["Description", "PostgreSQL of the Gevulot node"]],
    Container: [
      ["Image", POSTGRES_IMAGE],
      ["ContainerName", "gevulot-postgres"],
      ["AutoUpdate", "registry"],
      ["Network", "host"],
      ["EnvironmentFile", `/${ENV_DIR}/postgres.env`],
      ["Volume", "gevulot-postgres.volume:/var/lib/postgresql/data"],
      ["PodmanArgs", "--shm-size=256m"],
      "On the host's network, but for this machine alone.",
      ["Exec", "postgres -c listen_addresses=127.0.0.1"],
    ],
    ...HOW_IT_RUNS,
  });
}
