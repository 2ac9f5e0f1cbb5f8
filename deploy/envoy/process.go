package envoy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options of [Start]. YAML or Config is needed.
type Options struct {
	// Binary is the Envoy to run; by default [Find]'s.
	Binary string
	Config Config
	// YAML is used instead of Config where it is given.
	YAML string
	// Dir is where the configuration and Envoy's own log are written.
	Dir string
	// Workers are Envoy's threads for requests; by default 2.
	Workers int
	// LogLevel of Envoy's own log; by default warning.
	LogLevel string
}

// Process is a running Envoy.
type Process struct {
	// Address is where clients come in, with the real port.
	Address string
	// Admin is the address of Envoy's administration.
	Admin string
	// LogFile holds what Envoy wrote on standard error.
	LogFile string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is read
	err  error         // how it ended; read after done

	mu    sync.Mutex
	lines []json.RawMessage // of the access log
	more  chan struct{}     // closed and replaced with every line
}

// Find returns the Envoy to run: $PATROL_ENVOY, or .venv/bin/envoy in the
// nearest parent folder that holds a go.mod.
func Find() (string, error) {
	if path := os.Getenv("PATROL_ENVOY"); path != "" {
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find Envoy: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(dir, ".venv", "bin", "envoy")
			if _, err := os.Stat(path); err != nil {
				return "", fmt.Errorf("no Envoy at %s: run make envoy, or set PATROL_ENVOY", path)
			}
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find Envoy: no go.mod above; set PATROL_ENVOY")
		}
	}
}

// Validate lets the real Envoy check a configuration without running it.
func Validate(ctx context.Context, yaml string) error {
	binary, err := Find()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, binary, "--mode", "validate", "--disable-hot-restart",
		"-l", "warning", "--config-yaml", yaml).CombinedOutput()
	if err != nil {
		return fmt.Errorf("envoy --mode validate: %w\n%s", err, out)
	}
	return nil
}

// Start runs Envoy and returns when it serves. The caller must Stop it.
func Start(ctx context.Context, o Options) (*Process, error) {
	if o.Binary == "" {
		binary, err := Find()
		if err != nil {
			return nil, err
		}
		o.Binary = binary
	}
	if o.YAML == "" {
		yaml, err := o.Config.Render()
		if err != nil {
			return nil, err
		}
		o.YAML = yaml
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.LogLevel == "" {
		o.LogLevel = "warning"
	}
	file := filepath.Join(o.Dir, "envoy.yaml")
	if err := os.WriteFile(file, []byte(o.YAML), 0o600); err != nil {
		return nil, fmt.Errorf("write Envoy's configuration: %w", err)
	}
	p := &Process{LogFile: filepath.Join(o.Dir, "envoy.log"), done: make(chan struct{}), more: make(chan struct{})}
	adminFile := filepath.Join(o.Dir, "envoy.admin")
	if err := os.Remove(adminFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an earlier Envoy's address: %w", err)
	}
	p.cmd = exec.Command(o.Binary, "-c", file, "--admin-address-path", adminFile, "--disable-hot-restart",
		"--concurrency", strconv.Itoa(o.Workers), "-l", o.LogLevel, "--file-flush-interval-msec", "20")
	p.cmd.SysProcAttr = Child()
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if err := p.waitReady(ctx, adminFile); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// run starts Envoy and waits for its end on one thread that stays: Envoy is told
// to end when the thread that started it does ([Child], and Envoy itself with
// hot restart).
func (p *Process) run(started chan<- error) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log, err := os.Create(p.LogFile)
	if err != nil {
		started <- fmt.Errorf("create Envoy's log: %w", err)
		return
	}
	defer log.Close()
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		started <- fmt.Errorf("start Envoy: %w", err)
		return
	}
	started <- nil
	p.readLog(out)
	p.err = p.cmd.Wait()
}

// readLog keeps the lines of the access log until Envoy ends.
func (p *Process) readLog(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !json.Valid(lines.Bytes()) {
			continue
		}
		p.mu.Lock()
		p.lines = append(p.lines, append(json.RawMessage(nil), lines.Bytes()...))
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out) // a line that is too long must not block Envoy
}

func (p *Process) waitReady(ctx context.Context, adminFile string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(adminFile); err == nil && len(b) > 0 {
			p.Admin = strings.TrimSpace(string(b))
			if address, err := p.listening(ctx); err == nil {
				p.Address = address
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("envoy ended: %w\n%s", p.err, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("envoy did not become ready: %w\n%s", ctx.Err(), p.Log())
		case <-tick.C:
		}
	}
}

// listening asks Envoy for the address of its listener, once it is ready.
func (p *Process) listening(ctx context.Context) (string, error) {
	if _, err := p.AdminGet(ctx, "/ready"); err != nil {
		return "", err
	}
	text, err := p.AdminGet(ctx, "/listeners?format=json")
	if err != nil {
		return "", err
	}
	var list struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return "", fmt.Errorf("envoy's listeners: %w", err)
	}
	if len(list.Statuses) == 0 || list.Statuses[0].Local.Socket.Port == 0 {
		return "", errors.New("envoy listens nowhere yet")
	}
	at := list.Statuses[0].Local.Socket
	return fmt.Sprintf("%s:%d", at.Address, at.Port), nil
}

// AdminGet reads a page of Envoy's administration, for example /stats.
func (p *Process) AdminGet(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return "", fmt.Errorf("envoy admin %s: %w", path, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("envoy admin %s: %w", path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", fmt.Errorf("envoy admin %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("envoy admin %s: %s", path, res.Status)
	}
	return string(b), nil
}

// Log returns what Envoy wrote on standard error.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.LogFile)
	if err != nil {
		return ""
	}
	return string(b)
}

// Done is closed when Envoy has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends Envoy and waits for it.
func (p *Process) Stop() {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
			return
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
		}
	}
	<-p.done
}
