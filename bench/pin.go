package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pinned, in the environment of a bench that runs on the load's half of the
// processors, lists the servers' half.
const pinned = "PATROL_BENCH_SERVERS"

var serverCPUs *unix.CPUSet // nil: anywhere

// pinSelf keeps this process on one half of the processors it may use, and the
// servers on the other. Threads that run already stay where they are, so it
// starts itself anew.
func pinSelf() error {
	if list, ok := os.LookupEnv(pinned); ok {
		serverCPUs = &unix.CPUSet{}
		for _, text := range strings.Split(list, ",") {
			cpu, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("%s: %w", pinned, err)
			}
			serverCPUs.Set(cpu)
		}
		return nil
	}
	var all, load unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	var servers []string
	for cpu := 0; load.Count()+len(servers) < all.Count(); cpu++ {
		switch {
		case !all.IsSet(cpu):
		case load.Count() < (all.Count()+1)/2:
			load.Set(cpu)
		default:
			servers = append(servers, strconv.Itoa(cpu))
		}
	}
	if len(servers) == 0 {
		return nil // one processor: nothing to keep apart
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, &load); err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), pinned+"="+strings.Join(servers, ",")))
}

// startPinned starts a server on the servers' half; nil: anywhere. A process inherits where it
// may run from the thread that starts it.
func startPinned(c *exec.Cmd, cpus *unix.CPUSet) error {
	failed := make(chan error)
	go func() {
		// Never unlocked, and its goroutine never ends: a child ends when the
		// thread that started it does, not only with bench.
		runtime.LockOSThread()
		if cpus != nil {
			if err := unix.SchedSetaffinity(0, cpus); err != nil {
				failed <- err
				return
			}
		}
		failed <- c.Start()
		select {}
	}()
	return <-failed
}
