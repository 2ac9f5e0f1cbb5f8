package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/patrol-authz/patrol/deploy/envoy"
	envoytest "github.com/patrol-authz/patrol/test/envoy"
)

// configuration is one of our Envoy's files as it stands.
func configuration(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/envoy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// indented puts a text some columns further to the right.
func indented(text string, columns int) string {
	return regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, strings.Repeat(" ", columns)+"$1")
}

// readmeFilter is the filter of strict.yaml, and what the README shows to put in
// its place.
func readmeFilter(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^    - name: envoy\.filters\.http\.ext_authz\n(?:     .*\n)+`).FindAllString(string(readme), -1)
	ours := regexp.MustCompile(`(?m)^          - name: envoy\.filters\.http\.ext_authz\n(?:           .*\n)+`).FindAllString(configuration(t, "strict.yaml"), -1)
	if len(shown) != 1 || len(ours) != 1 {
		t.Fatalf("the README shows %d filters, strict.yaml has %d", len(shown), len(ours))
	}
	return []string{ours[0], indented(shown[0], 6)}
}

// TestTheFilterOfTheREADMEHoldsEveryCase sends every case through it.
func TestTheFilterOfTheREADMEHoldsEveryCase(t *testing.T) {
	w := startApp(t, nil)
	w.populate(t, filepath.Join(casesDir, "world.json"))
	run := tier{http: true, run: envoyTier(t, w, envoy.Strict, caseUpstream(t), readmeFilter(t)...)}
	asked := 0
	for _, c := range loadCases(t) {
		w.after(t, c.span())
		if run.hold(t, "strict", c) {
			asked++
		}
	}
	count(t, "%d cases", asked)
	if asked < 167 {
		t.Errorf("only %d cases ran", asked)
	}
}

// TestWhoIsServedAsAnonymousIsSoToTheUpstream: the credential is taken away, from
// whichever header it came, which Envoy does only where its rules name the header.
func TestWhoIsServedAsAnonymousIsSoToTheUpstream(t *testing.T) {
	names := []string{"authorization", "x-api-key", "x-auth-token", "private-token"}
	w := startApp(t, func(c *Config) {
		c.Policy.Bundles, c.Policy.CredentialHeaders = []string{overlay(t, publicModels)}, names[1:]
	})
	w.populate(t, filepath.Join(casesDir, "world.json"))
	hub := startHub(t)
	for file, replace := range map[string][]string{envoy.Strict: nil, envoy.Raw: nil, "README": readmeFilter(t)} {
		c := envoy.Config{File: file, Patrol: w.listeners[0].Addr().String(), Upstream: hub.address()}
		if replace != nil {
			c.File = envoy.Strict
		}
		p := envoytest.Start(t, c, replace...)
		for _, name := range names {
			value := "{bob_fine}"
			if name == "authorization" {
				value = "Bearer {bob_fine}"
			}
			path := "/api/models/acme/" + file + "-" + name
			status, header, _ := send(t, p.Address, get(path, [2]string{name, value}), w, name)
			hub.mu.Lock()
			seen, reached := hub.seen[path]
			hub.mu.Unlock()
			if status != 200 || !reached || seen.Get(name) != "" {
				t.Errorf("%s, %s: %d %v; the upstream saw %d bytes of it", file, name, status, header, len(seen.Get(name)))
			}
		}
	}
}

// TestTheUnixSocketOfTheFolder runs unix-socket.yaml, in the place that it names,
// with patrol on a socket whose mode and group are configured: who is in the
// group may open it, and nobody else.
func TestTheUnixSocketOfTheFolder(t *testing.T) {
	group := "nogroup"
	if os.Geteuid() != 0 { // only root may give a file away
		own, err := user.LookupGroupId(strconv.Itoa(os.Getegid()))
		if err != nil {
			t.Fatal(err)
		}
		group = own.Name
	}
	dir, err := os.MkdirTemp("", "patrol") // short, and others may look into it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the socket's own mode is what is tested
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "ext_authz.sock")
	w := startApp(t, func(c *Config) {
		c.ExtAuthz.Listen = []string{"unix:" + socket}
		c.ExtAuthz.Mode, c.ExtAuthz.Group = "0660", group
	})
	w.populate(t, filepath.Join(casesDir, "world.json"))

	const place = `      cluster_name: patrol
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9191}}}}]}]
`
	file := configuration(t, "unix-socket.yaml")
	if strings.Count(file, "/run/patrol/ext_authz.sock") != 2 {
		t.Fatalf("the socket's path is not in the file's comment and its address:\n%s", file)
	}
	ours := indented(strings.ReplaceAll(file, "/run/patrol/ext_authz.sock", socket), 4)
	hub := startHub(t)
	p := envoytest.Start(t, envoy.Config{File: envoy.Strict, Upstream: hub.address()}, "    load_assignment:\n"+place, ours)
	for token, want := range map[string]int{"bob_approved": 200, "bob_fine": 403} {
		c := get("/api/models/acme/model", [2]string{"authorization", "Bearer {" + token + "}"})
		if status, header, _ := send(t, p.Address, c, w, token); status != want || header.Get("x-error-code") == "" && want != 200 {
			t.Errorf("%s: %d %v", token, status, header)
		}
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := user.LookupGroup(group)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != 0o660 || strconv.Itoa(int(gid)) != wanted.Gid {
		t.Errorf("the socket is %v, of group %d; want 0660 of %s", info.Mode(), gid, wanted.Gid)
	}
	if os.Geteuid() == 0 {
		gid, err := strconv.ParseUint(wanted.Gid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		if !opens(t, socket, uint32(gid)) {
			t.Error("another user of the group cannot open the socket")
		}
		if opens(t, socket, 60_000) {
			t.Error("a user of another group opens the socket")
		}
	}
}

// opens says whether another user, of a group, can open a socket.
func opens(t *testing.T, socket string, gid uint32) bool {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/usr/bin/curl", "-sS", "--max-time", "5", "--http2-prior-knowledge", "--unix-socket", socket, "http://patrol/")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60_000, Gid: gid}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	const couldNotConnect = 7
	opened := cmd.ProcessState.ExitCode() != couldNotConnect
	t.Logf("as group %d: exit %d %s", gid, cmd.ProcessState.ExitCode(), out)
	return opened
}
