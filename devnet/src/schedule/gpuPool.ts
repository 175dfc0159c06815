/** Hands out GPUs by PCI address; each belongs to one task at a time. */
export interface GpuPool {
  take(count: number): readonly string[];
  giveBack(devices: readonly string[]): void;
}

export function createGpuPool(devices: readonly string[]): GpuPool {
  const free = [...devices];
  return {
    take(count) {
      if (count > free.length) throw new Error(`${count} GPUs wanted, ${free.length} free: admission failed`);
      return free.splice(0, count);
    },
    giveBack: (given) => void free.push(...given),
  };
}
