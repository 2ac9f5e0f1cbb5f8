package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/deploy/envoy"
	"github.com/patrol-authz/patrol/test/freeaddr"
)

// server is a running process that answers ext_authz.
type server struct {
	name string
	unix string // path of its socket
	tcp  string
	http string // where its metrics are; "" where it has none
	edge string // the address of Envoy's listener in front of it
	cmd  *exec.Cmd
	log  bytes.Buffer
	// ended tells how the process ended, and is closed then.
	ended <-chan error
	data  string // patrol's data directory; "" where the server is none
}

// fleet are all servers of a comparison; the first is the floor.
type fleet struct {
	servers []*server
	envoy   *envoy.Process
	ready   map[string]time.Duration
}

type fleetOptions struct {
	tokens, organizations int
	variants              variants
	edge                  bool
	// bundle is a policy bundle beside the base; "" for none.
	bundle string
}

func startFleet(o *options, dir string, fo fleetOptions) (f *fleet, err error) {
	f = &fleet{ready: map[string]time.Duration{}}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	for _, floor := range floors {
		s, err := newServer(dir, floor.name)
		if err != nil {
			return f, err
		}
		f.servers = append(f.servers, s)
		if err := s.start(self, "-floor", floor.role, "-listen", strings.Join([]string{s.unix, s.tcp, s.http}, ",")); err != nil {
			return f, err
		}
	}
	data := filepath.Join(dir, "filled")
	defer os.RemoveAll(data)
	w := world{tokens: fo.tokens, organizations: fo.organizations}
	if err := w.fill(context.Background(), data); err != nil {
		return f, fmt.Errorf("fill the inventory: %w", err)
	}
	for _, v := range fo.variants {
		if err := f.addPatrol(o, dir, v.name, v.yaml, data, fo); err != nil {
			return f, err
		}
	}
	if o.peer != "" {
		s, err := newServer(dir, filepath.Base(o.peer))
		if err != nil {
			return f, err
		}
		s.http = ""
		f.servers = append(f.servers, s)
		if err := s.start(o.peer, strings.Fields(strings.NewReplacer("{unix}", s.unix, "{tcp}", s.tcp).Replace(o.peerArgs))...); err != nil {
			return f, err
		}
	}
	if fo.edge {
		err = f.startEnvoy(dir)
	}
	return f, err
}

func newServer(dir, name string) (*server, error) {
	own, err := os.MkdirTemp(dir, "s")
	if err != nil {
		return nil, err
	}
	s := &server{name: name, unix: filepath.Join(own, "authz.sock")}
	for _, address := range []*string{&s.tcp, &s.http} {
		if *address, err = freeaddr.Loopback(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// configure writes patrol's configuration, and returns its arguments.
func (s *server) configure(yaml, bundle string) ([]string, error) {
	s.data = filepath.Join(filepath.Dir(s.unix), "data")
	config := filepath.Join(filepath.Dir(s.unix), "patrol.yaml")
	text := fmt.Sprintf("data_dir: %s\next_authz: {listen: ['unix:%s', '%s']}\ndiagnostics: {listen: '%s'}\n%s\n", s.data, s.unix, s.tcp, s.http, yaml)
	args := []string{"serve", "--config", config}
	if bundle != "" {
		args = append(args, "--bundle", bundle)
	}
	return args, os.WriteFile(config, []byte(text), 0o600)
}

// addPatrol starts patrol on a copy of a filled data directory, and notes how
// soon it is ready.
func (f *fleet) addPatrol(o *options, dir, name, yaml, data string, fo fleetOptions) error {
	s, err := newServer(dir, name)
	if err != nil {
		return err
	}
	f.servers = append(f.servers, s)
	args, err := s.configure(yaml, fo.bundle)
	if err != nil {
		return err
	}
	if err := copyAll(s.data, data); err != nil {
		return fmt.Errorf("copy the inventory: %w", err)
	}
	started := time.Now()
	if err := s.start(o.binary, args...); err != nil {
		return err
	}
	f.ready[name] = time.Since(started)
	return s.settle()
}

// copyAll copies a data directory; what it holds is its owner's alone.
func copyAll(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !d.Type().IsRegular() {
			return nil // a socket
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}

// settle waits until the server rests: what an import leaves to be done in the
// background is no part of what an answer costs.
func (s *server) settle() error {
	for deadline, quiet := time.Now().Add(5*time.Minute), 0; time.Now().Before(deadline); {
		const span = 500 * time.Millisecond
		before := cpuTime(s.pid())
		time.Sleep(span)
		if quiet++; cpuTime(s.pid())-before > span/25 {
			quiet = 0
		}
		if quiet == 8 {
			return nil
		}
	}
	return fmt.Errorf("%s does not come to rest", s.name)
}

// start runs the server and returns when it is ready.
func (s *server) start(binary string, args ...string) error {
	_ = os.Remove(s.unix)
	s.log.Reset()
	s.cmd = exec.Command(binary, args...)
	s.cmd.Env = append(os.Environ(), environment(s.name)...)
	s.cmd.Stderr, s.cmd.Stdout = &s.log, &s.log
	s.cmd.SysProcAttr = envoy.Child() // it ends when bench is killed
	if err := startPinned(s.cmd, serverCPUs); err != nil {
		return err
	}
	ended := make(chan error, 1)
	s.ended = ended
	go func() { ended <- s.cmd.Wait(); close(ended) }()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if s.isReady() {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("%s ended: %w\n%s", s.name, err, s.log.String())
		default:
		}
	}
	s.stop()
	return fmt.Errorf("%s did not become ready:\n%s", s.name, s.log.String())
}

// environment is what a variant's name holds behind "@": NAME@VAR=VALUE@VAR=VALUE.
func environment(name string) []string {
	return strings.Split(name, "@")[1:]
}

func (s *server) isReady() bool {
	if s.http == "" {
		c, err := net.Dial("unix", s.unix)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	resp, err := http.Get("http://" + s.http + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (s *server) pid() int { return s.cmd.Process.Pid }

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		<-s.ended //nolint:errcheck // It was killed.
	}
}

// startEnvoy puts one Envoy with one worker in front of all, with a listener
// for each server.
func (f *fleet) startEnvoy(dir string) error {
	for _, s := range f.servers {
		var err error
		if s.edge, err = freeaddr.Loopback(); err != nil {
			return err
		}
	}
	yaml, err := edgeConfig(f.servers)
	if err != nil {
		return err
	}
	if f.envoy, err = envoy.Start(context.Background(), envoy.Options{YAML: yaml, Dir: dir, Workers: 1}); err != nil {
		return errors.Join(errors.New("the loads behind Envoy need it: make envoy, or name others with -only"), err)
	}
	return nil
}

func (f *fleet) stop() {
	if f.envoy != nil {
		f.envoy.Stop()
	}
	for _, s := range f.servers {
		s.stop()
	}
}
