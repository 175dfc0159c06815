import { PASSWORD_PLACEHOLDER, RPC_TOKEN_FILE } from "./environment.ts";
import type { Passthrough } from "./passthrough.ts";
import type { QuadletOptions } from "./quadlet.ts";

interface Step {
  readonly title: string;
  readonly why?: string;
  readonly commands: readonly string[];
}

/** How the exported tree becomes a running node: Markdown, the commands from within its folder. */
export function installSteps(options: QuadletOptions, passthrough: Passthrough): string {
  const steps = stepsOf(options, passthrough).map(
    ({ title, why, commands }, index) =>
      `## ${index + 1}. ${title}\n\n${why === undefined ? "" : `${why}\n\n`}\`\`\`sh\n${commands.join("\n")}\n\`\`\`\n`,
  );
  return `# A Gevulot node under Podman and systemd\n\nRun these commands in this folder, on the machine of the node. Podman 4.4 or newer is needed.\n\n${steps.join("\n")}`;
}

function stepsOf(options: QuadletOptions, { slots }: Passthrough): Step[] {
  const { image, dataDirectory, advertise } = options;
  const inContainer = `sudo podman run --rm -v ${dataDirectory}:${dataDirectory} ${image}`;
  const units = ["gevulot-postgres", "gevulot-node"];
  return [
    ...(image.startsWith("localhost/")
      ? [
          {
            title: "Build the node's image",
            why: "Or give one of a registry with `--image` when exporting.",
            commands: [`sudo podman build --target node -t ${image} image`],
          },
        ]
      : []),
    {
      title: "A password for the database",
      commands: [
        `password=$(openssl rand -hex 24) && sed -i "s/${PASSWORD_PLACEHOLDER}/$password/" etc/gevulot/*.env`,
      ],
    },
    {
      title: "Put the files into place",
      why: "Look through `etc/gevulot/node.env` before: addresses, access list, limits.",
      commands: [
        "sudo cp -r --preserve=mode etc /",
        ...(slots.length > 0 ? ["sudo cp -r --preserve=mode usr /"] : []),
      ],
    },
    ...(slots.length > 0 ? [gpuStep(slots)] : []),
    {
      title: "Modules, now; from the next boot they come by themselves",
      commands: ["sudo systemctl restart systemd-modules-load", "ls -l /dev/kvm /dev/vsock /dev/vhost-vsock"],
    },
    {
      title: "The node's folder, key, and the token for its RPC",
      commands: [
        `sudo install -d -m 0755 ${dataDirectory}`,
        `${inContainer} generate key --key-file ${dataDirectory}/node.key`,
        `openssl rand -hex 32 | sudo install -m 0600 /dev/stdin ${dataDirectory}/${RPC_TOKEN_FILE}`,
      ],
    },
    {
      title: "Start",
      why: "The node brings the database's schema up to date each time it starts.",
      commands: [
        "sudo systemctl daemon-reload",
        `sudo systemctl start ${units.join(" ")}`,
        "sudo systemctl enable --now podman-auto-update.timer",
        "curl -fsS http://127.0.0.1:8888/healthz",
        "journalctl -u gevulot-node -f",
      ],
    },
    {
      title: "Let others in",
      why: `Peers reach this node at ${advertise}: behind NAT, forward TCP ${portOf(advertise)} to 9999, and 9995 to 9995. 9944 only for those who have the token, and better through TLS.`,
      commands: [
        "sudo firewall-cmd --permanent --add-port=9999/tcp --add-port=9995/tcp",
        "sudo firewall-cmd --reload",
      ],
    },
  ];
}

function gpuStep(slots: readonly string[]): Step {
  return {
    title: "Take the cards from the host",
    why:
      "The kernel's command line needs `intel_iommu=on iommu=pt` (AMD: `iommu=pt`). The first of the two lines is Fedora's, the other " +
      "Debian's and Ubuntu's. After the boot, `lspci -nnDk` must say `Kernel driver in use: vfio-pci` for each function. On Ubuntu, " +
      `\`driverctl set-override ${slots[0]} vfio-pci\`, for each function, does the same as the unit.`,
    commands: [
      "sudo dracut --force",
      "sudo update-initramfs -u",
      "sudo systemctl enable gevulot-vfio-bind",
      "sudo reboot",
      `for slot in ${slots.join(" ")}; do lspci -nnDks $slot; done`,
    ],
  };
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
