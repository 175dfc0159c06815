/**
 * Every file that declares error codes of `startDevnet` and `buildImage`. A declaration file names only what its types
 * need, so that without this list the codes of inner files would be missing where the package is used.
 */
import "./image/bootLoader.ts";
import "./image/bundleProgram.ts";
import "./image/copyFromImage.ts";
import "./image/container/containerError.ts";
import "./image/descriptor.ts";
import "./image/elf.ts";
import "./image/elfLibraries.ts";
import "./image/ensureGuestKernel.ts";
import "./image/execProgram.ts";
import "./image/extractVmlinux.ts";
import "./image/fatPartition.ts";
import "./image/initrd.ts";
import "./image/kernelModules.ts";
import "./image/listImage.ts";
import "./image/manifest.ts";
import "./image/nanos/kernelFiles.ts";
import "./image/nanos/tfsInvalid.ts";
import "./image/nanos/writeTfs.ts";
import "./image/programFiles.ts";
import "./image/readNode.ts";
import "./image/readProgram.ts";
import "./image/runTool.ts";
import "./operator/outputFiles.ts";
import "./operator/passthrough.ts";
import "./p2p/mesh/ownAddress.ts";
import "./p2p/mesh/untilConnected.ts";
import "./p2p/peerNetwork.ts";
import "./testcontainers/containerFailed.ts";
import "./up/claimDevnet.ts";
import "./state/archive.ts";
import "./state/diskFull.ts";
import "./state/loadState.ts";
import "./state/snapshots.ts";
import "./state/stateManifest.ts";
import "./up/devnet.ts";
import "./up/nodeOrders.ts";
import "./up/nodeProcess.ts";
import "./up/ports.ts";
import "./up/postgres.ts";
import "./up/postgresAccount.ts";
import "./up/postgresBinaries.ts";
import "./up/postgresCluster.ts";
import "./up/postgresOwner.ts";
import "./up/postgresServer.ts";
