"""A client of the stage in another language: has a chain proved, waits, and writes the proof to a file.

    python client.py STAGE START LENGTH SEGMENTS FILE

STAGE is host:port; the Ethereum key that may submit runs, 64 hex digits, is in $PIPELINE_KEY. The modules below are
generated from this repository's .proto files (see README.md)."""

import json
import os
import sys
import time
import uuid

import grpc
from eip191 import sign_text
from stage.v1 import stage_pb2, stage_pb2_grpc

SEG_SIZE = 131_072
LOOK_EVERY_SECONDS = 0.5
# A proof can be larger than gRPC's 4 MiB.
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def main(stage_addr: str, start: str, length: str, segments: str, file: str) -> int:
    key = bytes.fromhex(os.environ["PIPELINE_KEY"].removeprefix("0x"))
    with grpc.insecure_channel(stage_addr, options=OPTIONS) as channel:
        stage = stage_pb2_grpc.StageServiceStub(channel)
        proof_id = str(uuid.uuid4())
        work = {"start": int(start), "length": int(length), "segments": int(segments)}
        answer = stage.GenerateProof(
            stage_pb2.GenerateProofRequest(
                proof_id=proof_id,
                seg_size=SEG_SIZE,
                signature=sign_text(f"{proof_id}&{SEG_SIZE}", key),
                # This prover proves one program only; a request names one all the same.
                elf_data=b"a chain of Poseidon hashes",
                public_input_stream=json.dumps(work).encode(),
            )
        )
        if answer.status != stage_pb2.COMPUTING:
            return end(proof_id, answer)
        request = stage_pb2.GetStatusRequest(proof_id=proof_id)
        while (status := stage.GetStatus(request)).status == stage_pb2.COMPUTING:
            time.sleep(LOOK_EVERY_SECONDS)
    if status.status == stage_pb2.SUCCESS:
        with open(file, "wb") as out:
            out.write(status.proof_with_public_inputs)
    return end(proof_id, status)


def end(proof_id: str, answer) -> int:
    is_done = answer.status == stage_pb2.SUCCESS
    summary = {
        "proofId": proof_id,
        "status": stage_pb2.Status.Name(answer.status),
        "error": answer.error_message,
        "outputStream": answer.output_stream.decode(),
        "totalSteps": getattr(answer, "total_steps", 0),
    }
    print(json.dumps(summary))
    return 0 if is_done else 1


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
