package envoytest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
)

// asParent makes this test binary a process that starts Envoy and ends, once
// Envoy listens. Its value is the folder to run Envoy in; arguments are Envoy's.
const asParent = "PATROL_TEST_START_ENVOY_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asParent); dir != "" {
		if err := startAndEnd(dir, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startAndEnd(dir string, args []string) error {
	binary, err := envoy.Find()
	if err != nil {
		return err
	}
	yaml, err := envoy.Config{File: envoy.Strict, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0"}.Render()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "envoy.log"))
	if err != nil {
		return err
	}
	admin := filepath.Join(dir, "envoy.admin")
	cmd := exec.Command(binary, append([]string{"--config-yaml", yaml, "--admin-address-path", admin, "--concurrency", "1", "-l", "warning"}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if ready(admin) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("envoy did not start")
		}
	}
}

// ready: before, Envoy has no handler of signals and ends without a word.
func ready(admin string) bool {
	address, err := os.ReadFile(admin)
	if err != nil || len(address) == 0 {
		return false
	}
	resp, err := http.Get("http://" + strings.TrimSpace(string(address)) + "/ready")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// With hot restart, Envoy gets SIGTERM when the parent that started it ends:
// start it from one that stays, or without hot restart, as [envoy.Start] does.
func TestEnvoyEndsWithItsParentUnlessHotRestartIsOff(t *testing.T) {
	for name, c := range map[string]struct {
		flag string
		ends bool
	}{
		"with hot restart":    {"--use-dynamic-base-id", true},
		"without hot restart": {"--disable-hot-restart", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			parent := exec.Command(os.Args[0], c.flag)
			parent.Env, parent.Stderr = append(os.Environ(), asParent+"="+dir), os.Stderr
			out, err := parent.Output()
			if err != nil {
				t.Fatalf("the parent: %v", err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
			log := func() string { b, _ := os.ReadFile(filepath.Join(dir, "envoy.log")); return string(b) }
			// The kernel sends the signal as the parent ends, so that 2 s are
			// plenty to see none.
			wait := 20 * time.Second
			if !c.ends {
				wait = 2 * time.Second
			}
			for deadline := time.Now().Add(wait); time.Now().Before(deadline) && !strings.Contains(log(), "SIGTERM"); {
				time.Sleep(20 * time.Millisecond)
			}
			if got := strings.Contains(log(), "SIGTERM"); got != c.ends {
				t.Errorf("SIGTERM: %t, want %t; Envoy's log:\n%s", got, c.ends, log())
			}
		})
	}
}
