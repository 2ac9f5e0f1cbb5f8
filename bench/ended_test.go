package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingIsLeftOfABenchThatIsKilled: its servers end with it, also where it
// can do nothing about it, and pinned or not.
func TestNothingIsLeftOfABenchThatIsKilled(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build bench: %v\n%s", err, out)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, pin := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, pinned %t", signal, pin), func(t *testing.T) {
				temp, err := os.MkdirTemp("", "b") // short: sockets are in it
				if err != nil {
					t.Fatal(err)
				}
				defer os.RemoveAll(temp)
				cmd := exec.Command(binary, fmt.Sprintf("-pin=%t", pin), "-binary", "/bin/false")
				cmd.Env = append(os.Environ(), "TMPDIR="+temp)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = cmd.Process.Kill() }()
				var servers []string
				until(t, "its first servers run", func() bool {
					servers = children(t, cmd.Process.Pid)
					return len(servers) == 2 // the two that decide nothing
				})
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				until(t, "they ended", func() bool {
					for _, pid := range servers {
						if stat, err := os.ReadFile("/proc/" + pid + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
							return false
						}
					}
					return true
				})
				if left, _ := filepath.Glob(filepath.Join(temp, "bench*")); signal == syscall.SIGTERM && len(left) > 0 {
					t.Errorf("it left %v", left)
				}
			})
		}
	}
}

// children are the processes that a process started.
func children(t *testing.T, pid int) []string {
	t.Helper()
	var all []string
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
