import type { Manifest } from "../manifest.ts";
import { deadlineNote, type ManifestNotes, resourceNote } from "../manifestNotes.ts";

/** What a Nanos image makes of a manifest beyond what stands in it. */
export function nanosNotes(manifest: Manifest): ManifestNotes {
  return {
    warnings: [
      ...(manifest.cloudConfig ? ["CloudConfig means nothing here: images are not sent to a cloud."] : []),
      ...(manifest.nanosVersion === undefined
        ? []
        : ["NanosVersion is ignored in a manifest, as by ops; give --nanos-version."]),
    ],
    notes: [
      ...deadlineNote(manifest),
      ...(manifest.rebootOnExit
        ? ["RebootOnExit: a program that fails resets the machine; a node takes that for its failure."]
        : []),
      ...resourceNote(manifest),
    ],
  };
}
