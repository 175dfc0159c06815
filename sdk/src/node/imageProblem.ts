import { open } from "node:fs/promises";

const SECTOR_BYTES = 512;
const BOOT_SIGNATURE = [0x55, 0xaa];
const ELF = [0x7f, 0x45, 0x4c, 0x46];

/**
 * Why a local file is no disk image: the images of all kinds of guests begin with a boot sector. Null where it may be one, or
 * can't be read, which is told when it is sent.
 */
export async function imageProblem(path: string): Promise<string | null> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return null;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SECTOR_BYTES), 0, SECTOR_BYTES, 0);
    const isDisk =
      bytesRead === SECTOR_BYTES && BOOT_SIGNATURE.every((byte, at) => buffer[510 + at] === byte);
    if (isDisk) return null;
    const isProgram = ELF.every((byte, at) => buffer[at] === byte) || /\.[cm]?[jt]s$/.test(path);
    const advice = "make one with `gevulot-devnet image build`";
    return isProgram
      ? `${path} is a program, and no image of it: ${advice}`
      : `${path} is no disk image: ${advice}`;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}
