package envoy

import "syscall"

// Child are the attributes of a process that ends with this one, however that
// ends: the kernel tells it so when the thread that started it ends, which must
// be locked. It is of its own process group, so that a Ctrl-C in a terminal
// reaches only the parent, which stops it in its own time.
func Child() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
