/** A Containerfile for a CUDA program, whose root file system `image build --from-container` takes. */
export function gpuTemplate({ kernelVersion, driver }: { kernelVersion: string; driver: string }): string {
  return `# A CUDA program for a Linux guest: user space, kernel module and firmware of one driver.
#
#   podman build -t gpu-prover -f Containerfile .
#   gevulot-devnet image build --from-container localhost/gpu-prover -c manifest.json -i gpu-prover
#   gevulot-devnet image check --gpu gpu-prover.img
#
# manifest.json: {"RunConfig": {"CPUs": 8, "Memory": "32G", "GPUs": 1}, "Mounts": {"%1": "/workspace"}}
#
# The module fits one kernel, that of the image: \`image build\` and \`image check --gpu\` say which.
ARG DRIVER=${driver}
ARG KERNEL=${kernelVersion}

# The kernel module, built against the guest's kernel.
FROM docker.io/library/debian:12 AS module
ARG DRIVER
ARG KERNEL
RUN apt-get update && apt-get install -y --no-install-recommends \\
      build-essential ca-certificates curl kmod linux-headers-\${KERNEL}
WORKDIR /driver
RUN curl -fsSLo driver.run "https://us.download.nvidia.com/XFree86/Linux-x86_64/\${DRIVER}/NVIDIA-Linux-x86_64-\${DRIVER}.run" \\
 && sh driver.run --extract-only --target files
RUN make -C files/kernel-open -j"$(nproc)" KERNEL_UNAME=\${KERNEL} modules \\
 && mkdir -p /out/lib/modules/\${KERNEL}/nvidia /out/lib/firmware/nvidia/\${DRIVER} /out/usr/lib/x86_64-linux-gnu \\
 && cp files/kernel-open/nvidia.ko files/kernel-open/nvidia-uvm.ko /out/lib/modules/\${KERNEL}/nvidia/ \\
 && cp files/firmware/gsp_*.bin /out/lib/firmware/nvidia/\${DRIVER}/ \\
 && for name in libcuda libnvidia-ml libnvidia-ptxjitcompiler; do \\
      cp files/\${name}.so.\${DRIVER} /out/usr/lib/x86_64-linux-gnu/ \\
      && ln -s \${name}.so.\${DRIVER} /out/usr/lib/x86_64-linux-gnu/\${name}.so.1 || exit 1; \\
    done

# The program; replace it by your own.
FROM docker.io/nvidia/cuda:12.3.2-devel-ubuntu22.04 AS program
WORKDIR /src
COPY . .
RUN nvcc -O3 -o /prover prover.cu

FROM docker.io/nvidia/cuda:12.3.2-base-ubuntu22.04
ARG DRIVER
ARG KERNEL
COPY --from=module /out/usr /usr
COPY --from=module /out/lib/modules /usr/lib/modules
COPY --from=module /out/lib/firmware /usr/lib/firmware
COPY --from=program /prover /usr/local/bin/prover
ENTRYPOINT ["prover"]
`;
}
