import { createHash, timingSafeEqual } from "node:crypto";
import {
  InterceptingCall,
  type Interceptor,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from "@grpc/grpc-js";

const HEADER = "gevulot-node-token";
/** What a stage offers to its nodes; its clients call others. */
const FOR_NODES = "/gevulot.pipeline.v1.";

const REFUSED = {
  code: status.UNAUTHENTICATED,
  details:
    "this stage takes nodes with its node_token only: set the same node_token in the node's configuration, " +
    "and this stage's address in its stage_addrs",
};

/** A node says it in its calls to stages; `isKnown` is asked at each. */
export function sendNodeToken(token: string | undefined, isKnown = () => true): Interceptor[] {
  if (token === undefined) return [];
  const say: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        if (isKnown()) metadata.set(HEADER, token);
        next(metadata, listener);
      },
    });
  return [say];
}

/** A stage asks for it where nodes call. */
export function askNodeToken(token: string | undefined): ServerInterceptor[] {
  if (token === undefined) return [];
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const expected = digest(token);
  const ask: ServerInterceptor = (method, call) => {
    if (!method.path.startsWith(FOR_NODES)) return new ServerInterceptingCall(call);
    const listener = new ServerListenerBuilder().withOnReceiveMetadata((metadata, next) => {
      const isKnown = timingSafeEqual(digest(String(metadata.get(HEADER)[0] ?? "")), expected);
      if (isKnown) next(metadata);
      else call.sendStatus(REFUSED);
    });
    const responder = new ResponderBuilder().withStart((next) => next(listener.build())).build();
    return new ServerInterceptingCall(call, responder);
  };
  return [ask];
}
