//go:build !linux

package envoy

import "syscall"

// Child are the attributes of a process of its own process group, so that a
// Ctrl-C in a terminal reaches only the parent, which stops it in its own time.
func Child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
