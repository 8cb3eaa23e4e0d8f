#!/bin/bash
# systemd-root.sh DIR NAME: systemd as PID 1 of namespaces of its own, over an overlay of this machine's files, so that
# nothing here changes. Prints the pid of unshare (kill -9 of it ends everything) and the pid of that systemd.
O=$1 NAME=$2 C=/sys/fs/cgroup
[ -d $C/unified ] && C=$C/unified
mkdir -p "$O" && mount -t tmpfs tmpfs "$O" && mkdir "$O/u" "$O/w" "$O/m" || exit 1
mount -t overlay overlay -o "lowerdir=/,upperdir=$O/u,workdir=$O/w" "$O/m" || exit 1
(
  mkdir -p "$C/$NAME" && echo $BASHPID >"$C/$NAME/cgroup.procs"
  exec setsid unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup bash -c '
    R=$1/m; mount --make-rprivate /
    mount -t proc proc $R/proc; mount -t sysfs sysfs $R/sys; mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
    mount -t tmpfs tmpfs $R/run; mount -t tmpfs tmpfs $R/tmp; mount -t tmpfs -o mode=755 tmpfs $R/dev; mkdir $R/dev/pts $R/dev/shm
    mount -t devpts -o newinstance,ptmxmode=666 devpts $R/dev/pts; ln -s pts/ptmx $R/dev/ptmx
    for n in null zero full random urandom tty; do : >$R/dev/$n; mount --bind /dev/$n $R/dev/$n; done
    ip link set lo up; cd $R && pivot_root . mnt && umount -l /mnt
    exec env -i container=test PATH=$PATH /lib/systemd/systemd --unit=basic.target --log-target=console --show-status=0' _ "$O"
) </dev/null >"$O/log" 2>&1 &
U=$!
for _ in $(seq 1200); do
  kill -0 $U 2>/dev/null || exit 1
  for L in $(cat /proc/$U/task/*/children 2>/dev/null); do
    [ "$(cat /proc/$L/comm 2>/dev/null)" = systemd ] &&
      case $(nsenter -t $L -a systemctl is-system-running 2>/dev/null) in running | degraded) echo $U $L && exit ;; esac
  done
  sleep .05
done
kill -9 $U
exit 1
