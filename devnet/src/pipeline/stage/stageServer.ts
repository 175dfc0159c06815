import { Server } from "@grpc/grpc-js";
import { createDataService } from "../data/dataService.ts";
import { createNodesService, type NodesServiceDeps } from "../nodes/nodesService.ts";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import { askNodeToken } from "../wire/nodeToken.ts";
import type { Protos } from "../wire/protos.ts";
import type { SegmentCollector } from "./segmentCollector.ts";
import { createStageService, type StageServiceDeps, type StageServiceOptions } from "./stageService.ts";

export interface StageServerDeps extends StageServiceDeps, NodesServiceDeps {
  readonly protos: Protos;
  readonly segments: SegmentCollector;
}

export interface StageServerOptions extends StageServiceOptions {
  readonly stageId: string;
  readonly dataAddr: () => string;
  readonly acceptsNodes: boolean;
  readonly nodeToken: string | undefined;
}

const BEATS = { beatEveryMs: 2_000, missedBeats: 4 };

/** What a stage answers over gRPC: to clients, and to nodes that register. */
export function createStageServer(deps: StageServerDeps, options: StageServerOptions): Server {
  const { protos, blobs, segments } = deps;
  const data = {
    blobs,
    expects: segments.expects,
    onSegment: segments.receive,
    onFile: segments.receiveFile,
  };
  const server = new Server({ ...GRPC_OPTIONS, interceptors: askNodeToken(options.nodeToken) });
  server.addService(protos.stage, createStageService(deps, options));
  server.addService(protos.stageNodes, createNodesService(deps, { ...BEATS, ...options }));
  server.addService(protos.stageData, createDataService(data));
  return server;
}
