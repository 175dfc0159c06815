#!/bin/sh
# Process 1 of a program's virtual machine. Without KVM every exec costs about 10 ms: builtins where they do.
# What it says on the control channel (the second serial port) is described in src/image/prepareBoot.ts.
export PATH=/bin
mount -a

# The redirection of errors comes first: without a second serial port its device can't be opened.
tell() { echo "GV $*" 2>/dev/null >/dev/ttyS1; }
report() {
  read -r now _ </proc/uptime
  tell "$* $now"
}

# What was ended may hold its files for a moment more. All have 5 s together.
pauses=0
unmount() {
  until umount "$1" 2>/dev/null; do
    [ $pauses -lt 50 ] || {
      umount -l "$1"
      return 1
    }
    pauses=$((pauses + 1))
    usleep 100000
  done
}

leave() {
  kill -9 -1 2>/dev/null
  unset IFS
  # It may lie in a volume.
  [ -z "$shared" ] || unmount "$shared"
  for point in $mounted; do
    unmount "$point" ||
      tell "failed the volume at ${point#"$root"} was still in use at the end: what was written to it may not be whole"
  done
  sync
  [ -z "$mounted" ] || ! dmesg | grep -q 'I/O error, dev vd.*WRITE' ||
    tell 'failed a volume did not take all that was written to it: the disk of the host may be full'
  # Waits until the console's last bytes have left: QEMU ends at once.
  stty -F /dev/ttyS0 -echo 2>/dev/null
  # isa-debug-exit, where QEMU has it: ten times faster than a power-off.
  printf '\0' | dd of=/dev/port bs=1 seek=1281 count=1 2>/dev/null
  poweroff -f
}

fail() {
  echo "init: $*"
  tell "failed $*"
  leave
}

load() {
  while read -r module; do
    insmod "/lib/m/$module.ko" || fail "kernel module $module does not load"
  done <"/lib/m/$1"
}

disk=/dev/vda
more= volumes= traced=
read -r words </proc/cmdline
for word in $words; do
  case $word in
  gv.root=*) disk=${word#gv.root=} ;;
  gv.load=*) more="$more ${word#gv.load=}" ;;
  gv.volumes=*) volumes=${word#gv.volumes=} ;;
  gv.trace) traced=yes ;;
  esac
done

load base
[ "$disk" != scan ] || load scsi
for device in /sys/bus/virtio/devices/*/device; do
  read -r id <"$device"
  # A socket to the host.
  [ "$id" != 0x0013 ] || load vsock
done
for set in $more; do load "$set"; done

# Started by the BIOS: the program is in the second partition of a disk, and the disk may be of any kind.
scan() {
  tries=0
  while [ $tries -lt 100 ]; do
    for disk in /dev/sd*2 /dev/vd*2; do
      [ -b "$disk" ] && mount -t squashfs -o ro "$disk" /r 2>/dev/null || continue
      [ ! -e /r/.gevulot/run ] || return 0
      umount /r
    done
    usleep 50000
    tries=$((tries + 1))
  done
  fail "no disk with a program on its second partition"
}

case $disk in
scan) scan ;;
*)
  [ -b "$disk" ] || fail "no root disk $disk"
  mount -t squashfs -o ro "$disk" /r || fail "the root file system on $disk can't be mounted"
  ;;
esac
# Sets workspace, writable and the function start.
. /r/.gevulot/run
root=/r
if [ -n "$writable" ]; then
  load overlay
  mount -t tmpfs tmpfs /o && mkdir /o/upper /o/work &&
    mount -t overlay -o lowerdir=/r,upperdir=/o/upper,workdir=/o/work overlay /n ||
    fail "the root file system can't be made writable"
  root=/n
fi
mount -a -T "/etc/fstab.d$root" || fail "the system's folders can't be mounted"
# Disks with data, in the order of their mount points: /dev/vdb, /dev/vdc, ...
mounted=
if [ -n "$volumes" ]; then
  load volumes
  letters=bcdefghijklmnopqrstuvwxyz
  IFS=,
  for volume in $volumes; do
    device=/dev/vd${letters%"${letters#?}"}
    letters=${letters#?}
    point=$root${volume%:ro}
    [ -d "$point" ] || mkdir -p "$point" 2>/dev/null ||
      fail "the image has no folder ${volume%:ro}, and none can be made there: name the volume in the manifest's Mounts"
    # Tables are written when they are used, so that the host's file stays small.
    case $volume in
    *:ro) mount -t ext4 -o ro "$device" "$point" ;;
    *) mount -t ext4 -o noinit_itable,discard "$device" "$point" ;;
    esac || fail "the volume at ${volume%:ro} can't be mounted"
    mounted="$mounted $point"
  done
  unset IFS
fi
# A program that outgrows the memory is killed at once, and not after minutes of reading its code again and again.
[ ! -e /sys/kernel/mm/lru_gen/enabled ] || {
  echo y >/sys/kernel/mm/lru_gen/enabled
  echo 1000 >/sys/kernel/mm/lru_gen/min_ttl_ms
}
# The image's own modules of a GPU, and the device files that NVIDIA's tools would make.
load_gpu() {
  echo "$root/lib/firmware" >/sys/module/firmware_class/parameters/path
  for module in $modules; do
    insmod "$root$module" || echo "init: $module does not load; was a GPU given to this machine?"
  done
  count=0
  for device in /sys/bus/pci/drivers/nvidia/0*; do
    [ -e "$device" ] || break
    mknod "/dev/nvidia$count" c 195 $count
    count=$((count + 1))
  done
  [ $count = 0 ] || mknod /dev/nvidiactl c 195 255
  while read -r major name; do
    [ "$name" = nvidia-uvm ] || continue
    mknod /dev/nvidia-uvm c "$major" 0
    mknod /dev/nvidia-uvm-tools c "$major" 1
  done </proc/devices
}
[ -z "$modules" ] || load_gpu
# As ops: a host name, and loopback for programs that talk to themselves.
echo gevulot >/proc/sys/kernel/hostname
ifconfig lo 127.0.0.1 up
report booted

mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=mmap,access=any 0 "$root$workspace" ||
  fail "the workspace can't be mounted: no 9p device with the tag 0"
shared=$root$workspace
report program

# The kernel's log, the program's files and system calls, for `vm run --trace`. Names are taken where the kernel has its
# own copy of them: in the program's memory they may not be there yet.
trace_start() {
  [ -d "$root$workspace/.gevulot" ] || mkdir "$root$workspace/.gevulot"
  trace=$root$workspace/.gevulot/trace
  mount -t tracefs tracefs /sys/kernel/tracing && cd /sys/kernel/tracing || return
  echo 4096 >buffer_size_kb
  {
    echo 'p:files/open do_filp_open path=+0(+0(%si)):string'
    echo 'r:files/opened do_filp_open result=$retval:s64'
    echo 'p:files/look filename_lookup path=+0(+0(%si)):string'
    echo 'r:files/looked filename_lookup result=$retval:s32'
  } >kprobe_events
  { echo '# kernel log'; dmesg -c; echo '# program'; } >"$trace"
  cat trace_pipe >>"$trace" &
  tracer=$!
  echo 1 >options/event-fork
  echo $$ >set_event_pid
  for events in files syscalls sched/sched_process_exec signal/signal_deliver; do echo 1 >events/$events/enable; done
  cd /
}
trace_end() {
  echo 0 >/sys/kernel/tracing/tracing_on
  usleep 100000
  kill "$tracer" 2>/dev/null
  { echo '# kernel log'; dmesg; } >>"$trace"
}
[ -z "$traced" ] || trace_start

# What the program left running would hold the pipes for ever. Nobody that stands still can start another.
end_others() {
  kill -STOP -1
  for process in /proc/[0-9]*; do
    case "$ours " in *" $process "*) ;; *) kill -9 "${process#/proc/}" ;; esac
  done 2>/dev/null
  kill -CONT -1
}
# For a program that knows nothing of tasks: what it says is kept for the host, within limits, and shown as ever.
start_exec() {
  left=$root$workspace/.gevulot
  [ -d "$left" ] || mkdir "$left"
  mkfifo /out /err
  tee /dev/console </err | tail -c 4096 >"$left/stderr" &
  err_keeper=$! out_keeper=
  if [ "$exec" = stdout ]; then
    # One block above the 15 MiB that a proof may have, so that the host sees that it is too long.
    (ulimit -f 30721 && exec tee "$left/stdout") </out &
    out_keeper=$!
  fi
  set -- /proc/[0-9]*
  ours=" $*"
  if [ -z "$out_keeper" ]; then (start) </dev/null 2>/err; else (start) </dev/null >/out 2>/err; fi
  end_others
  # However slow the console is: the task's deadline holds.
  wait "$err_keeper"
  [ -n "$out_keeper" ] || return
  wait "$out_keeper"
  kept=$?
}

# time, unlike the shell, tells a signal from an exit code above 128.
kept=0
if [ -n "$exec" ]; then start_exec; else (start) </dev/null; fi
[ -z "$traced" ] || trace_end
first=
[ ! -s /status ] || read -r first </status
case $first in
0)
  # 153: SIGXFSZ. The host sees by itself that it is too long.
  case $kept in
  0 | 153) report exited 0 ;;
  *) tell "failed what the program wrote was not kept whole (status $kept)" ;;
  esac
  ;;
*)
  if dmesg | grep -q 'Out of memory: Killed process'; then
    report oom
  else
    case $first in
    *' signal '*) report signalled "${first##* }" ;;
    *' status '*) report exited "${first##* }" ;;
    *) tell 'failed the end of the program was lost' ;;
    esac
  fi
  ;;
esac
leave
