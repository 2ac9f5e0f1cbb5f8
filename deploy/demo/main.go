// Command demo shows patrol at work: it starts patrol, a small hub and a real
// Envoy between them, sends the requests of the policy table, and prints what
// was asked and answered. Then it approves a pending token, changes a rule, and
// stays up. "make run" builds and runs it; with ONESHOT=1 it ends after that.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// dir is where everything of a run lies. It is relative, so that the admin
// socket's path stays short.
const dir = ".run"

func main() {
	runtime.LockOSThread() // patrol ends with the thread that started it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	lock, err := takeFolder()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := writeRule(nobody); err != nil {
		return err
	}
	hub, err := startHub()
	if err != nil {
		return err
	}
	defer func() { _ = hub.Close() }()
	patrol, err := startPatrol(ctx)
	if err != nil {
		return err
	}
	defer patrol.stop()
	edge, err := envoy.Start(ctx, envoy.Options{Dir: dir, Config: envoy.Config{
		File: envoy.Strict, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Patrol: patrol.extAuthz, Upstream: hub.address,
	}})
	if err != nil {
		return err
	}
	defer edge.Stop()
	d := &demo{edge: "http://" + edge.Address, patrol: patrol}
	if err := d.show(ctx); err != nil {
		return err
	}
	if os.Getenv("ONESHOT") != "" {
		return nil
	}
	d.next()
	select {
	case <-ctx.Done():
		fmt.Println("\nstopping")
		return nil
	case <-edge.Done():
		return fmt.Errorf("envoy ended: see %s", edge.LogFile)
	case err := <-patrol.ended:
		return fmt.Errorf("patrol ended: %w; see %s", err, filepath.Join(dir, "patrol.log"))
	}
}

// takeFolder empties the folder, unless another demo runs in it.
func takeFolder() (lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if lock, err = os.Open(dir); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another demo runs in %s: end it with Ctrl-C first", dir)
	}
	left, err := os.ReadDir(dir)
	for _, e := range left {
		if err == nil {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "data"), 0o700)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// patrolProcess is a running patrol.
type patrolProcess struct {
	cmd                   *exec.Cmd
	extAuthz, diagnostics string
	ended                 chan error
}

func startPatrol(ctx context.Context) (*patrolProcess, error) {
	p := &patrolProcess{ended: make(chan error, 1)}
	var err error
	if p.extAuthz, err = freeaddr.Loopback(); err != nil {
		return nil, err
	}
	if p.diagnostics, err = freeaddr.Loopback(); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "patrol.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command("bin/patrol", "serve", "--data-dir", filepath.Join(dir, "data"), "--bundle", policyDir,
		"--ext-authz", p.extAuthz, "--diagnostics", p.diagnostics)
	p.cmd.Stderr, p.cmd.Stdout = log, log
	p.cmd.SysProcAttr = envoy.Child() // a Ctrl-C reaches it through us
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bin/patrol: %w (make build makes it)", err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := get(ctx, "http://"+p.diagnostics+"/readyz"); status == 200 {
			return p, nil
		}
		select {
		case err := <-p.ended:
			text, _ := os.ReadFile(filepath.Join(dir, "patrol.log"))
			return nil, fmt.Errorf("patrol did not start: %w\n%s", err, text)
		default:
		}
		if time.Now().After(deadline) {
			p.stop()
			return nil, fmt.Errorf("patrol did not become ready: see %s", filepath.Join(dir, "patrol.log"))
		}
	}
}

func (p *patrolProcess) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		_ = err // it was told to end
	case <-time.After(8 * time.Second):
		_ = p.cmd.Process.Kill()
	}
}
